import type { EnvironmentDocument } from './document';

/** One region, smallest sizes: for trying changes out. The account is AWS's documentation example. */
export const dev: EnvironmentDocument = {
  name: 'dev',
  account: '111122223333',
  domain: { name: 'cdn.dev.example.com', hostedZoneId: 'Z0DEVEXAMPLE00000000' },
  regions: [{ region: 'us-east-1' }],
  edge: {
    cpu: 512,
    memoryMiB: 1024,
    desiredCount: 1,
    maxCount: 2,
    requestsPerTaskPerMinute: 6000,
    spotPercent: 100,
    memoryCacheBytes: 128 * 1024 ** 2,
    diskCacheBytes: 4 * 1024 ** 3,
    ephemeralStorageGiB: 21,
  },
  cache: { nodeType: 'cache.t4g.micro', replicas: 0 },
  availabilityZones: 2,
  natGateways: 1,
  rollBackOnAlarm: false,
  firewall: { requestsPerAddress: 10_000 },
  budget: { monthlyUsd: 200, emails: ['platform@example.com'] },
  defaultModel: 'ranker',
  channelPollSeconds: 15,
  logLevel: 'debug',
  logRetentionDays: 7,
  protect: false,
  models: { noncurrentDays: 7, replicationTimeControl: false },
};
