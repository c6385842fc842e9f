import type { EnvironmentDocument } from './schema';

/** As prod, on two continents and smaller. The account is AWS's documentation example. */
export const staging: EnvironmentDocument = {
  name: 'staging',
  account: '444455556666',
  domain: { name: 'cdn.staging.example.com', hostedZoneId: 'Z0STAGINGEXAMPLE0000' },
  regions: [{ region: 'us-east-1' }, { region: 'eu-west-1' }],
  edge: {
    cpu: 1024,
    memoryMiB: 2048,
    desiredCount: 2,
    maxCount: 4,
    requestsPerTaskPerMinute: 12_000,
    spotPercent: 50,
    memoryCacheBytes: 512 * 1024 ** 2,
    diskCacheBytes: 10 * 1024 ** 3,
    ephemeralStorageGiB: 30,
  },
  cache: { nodeType: 'cache.t4g.small', replicas: 1 },
  availabilityZones: 2,
  natGateways: 1,
  originKeys: ['2026-11'],
  rollBackOnAlarm: true,
  accessLogDays: 30,
  firewall: { requestsPerAddress: 100_000 },
  budget: { monthlyUsd: 800, emails: ['platform@example.com'] },
  defaultModel: 'ranker',
  channelPollSeconds: 30,
  logLevel: 'info',
  logRetentionDays: 30,
  protect: false,
  models: { noncurrentDays: 30, replicationTimeControl: false },
};
