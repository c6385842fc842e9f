import type { EnvironmentDocument } from './schema';

/** Three continents. Tokyo serves the most tasks at its peak. The account is AWS's documentation example. */
export const prod: EnvironmentDocument = {
  name: 'prod',
  account: '777788889999',
  domain: { name: 'cdn.example.com', hostedZoneId: 'Z0PRODEXAMPLE0000000' },
  homeRegion: 'us-east-1',
  regions: [
    { region: 'us-east-1' },
    { region: 'eu-west-1' },
    { region: 'ap-northeast-1', edge: { desiredCount: 3, maxCount: 30 } },
  ],
  edge: {
    cpu: 2048,
    memoryMiB: 8192,
    desiredCount: 2,
    maxCount: 20,
    requestsPerTaskPerMinute: 60_000,
    spotPercent: 0,
    memoryCacheBytes: 2 * 1024 ** 3,
    diskCacheBytes: 40 * 1024 ** 3,
    ephemeralStorageGiB: 60,
  },
  cache: { nodeType: 'cache.r7g.large', replicas: 1 },
  availabilityZones: 3,
  natGateways: 3,
  originKeys: ['2026-11'],
  rollBackOnAlarm: true,
  accessLogDays: 90,
  firewall: { requestsPerAddress: 100_000 },
  budget: { monthlyUsd: 5000, emails: ['platform@example.com'] },
  defaultModel: 'ranker',
  channelPollSeconds: 30,
  logLevel: 'info',
  logRetentionDays: 90,
  protect: true,
  models: { noncurrentDays: 90, replicationTimeControl: true },
};
