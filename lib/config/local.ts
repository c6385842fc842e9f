import type { EnvironmentDocument } from './document';

/** What the local runner brings up on one machine: three regions, small budgets, quick polls. */
export const local: EnvironmentDocument = {
  name: 'local',
  account: '000000000000',
  domain: { name: 'cdn.mlcdn.test', hostedZoneId: 'Z0LOCALEXAMPLE000000' },
  regions: [{ region: 'us-east-1' }, { region: 'eu-west-1' }, { region: 'ap-northeast-1' }],
  edge: {
    cpu: 256,
    memoryMiB: 512,
    desiredCount: 1,
    maxCount: 2,
    requestsPerTaskPerMinute: 6000,
    spotPercent: 0,
    memoryCacheBytes: 64 * 1024 ** 2,
    diskCacheBytes: 256 * 1024 ** 2,
    ephemeralStorageGiB: 21,
  },
  cache: { nodeType: 'cache.t4g.micro', replicas: 0 },
  availabilityZones: 2,
  routing: 'score',
  natGateways: 1,
  originKeyRotation: { settleSeconds: 1 },
  rollBackOnAlarm: false,
  defaultModel: 'ranker',
  channelPollSeconds: 2,
  logLevel: 'info',
  logRetentionDays: 1,
  protect: false,
  models: { noncurrentDays: 1, replicationTimeControl: false },
};
