import { ConfigError, readConfig } from '../../../containers/edge/config';

const MODELS = { MODELS_DIR: 'models' };

describe('readConfig', () => {
  it('needs no more than a place for models', () => {
    expect(readConfig(MODELS)).toMatchObject({
      port: 8080,
      host: '127.0.0.1',
      models: { kind: 'folder', folder: 'models' },
      redisUrl: undefined,
      routePolicies: [],
      channelPollMs: 5000,
      modelWorkers: undefined,
      modelRunTimeoutMs: 30_000,
      cloudWatchEnvironment: undefined,
      cloudWatchDeployment: undefined,
      ecsAgentUri: undefined,
      protectTransfersAfterMs: 10_000,
    });
  });

  it('reads every variable', () => {
    const config = readConfig({
      PORT: '3000',
      HOST: '0.0.0.0',
      REGION: 'eu-west-1',
      MODEL_BUCKET: 'bucket',
      DEFAULT_MODEL: 'ranker',
      REDIS_URL: 'rediss://cache:6379',
      REDIS_CLUSTER: 'true',
      REDIS_IAM_USER: 'edge',
      REDIS_IAM_CACHE_NAME: 'mlcdn-prod',
      DISK_CACHE_DIR: '/cache',
      DISK_CACHE_MAX_BYTES: '2097152',
      MEMORY_CACHE_MAX_BYTES: '1048576',
      ORIGIN_URL: 'https://origin.example',
      ROUTE_POLICIES: '[{"path":"/api/*","defaultTtlSeconds":60,"tags":["API"]},{"path":"*","cache":false}]',
      LOG_LEVEL: 'warn',
      CLOUDWATCH_ENVIRONMENT: 'prod',
      CLOUDWATCH_DEPLOYMENT: 'canary',
      CHANNEL_POLL_SECONDS: '7',
      SERVER_NAME: 'triton',
      MODEL_WORKERS: '3',
      MODEL_RUN_TIMEOUT_MS: '5000',
      MODEL_VERSION_POLICY: 'latest:2',
      MODEL_CONTROL: 'explicit',
      TASK_ID: 'task-1',
      ECS_AGENT_URI: 'http://169.254.170.2/api/1',
      PROTECT_TRANSFERS_AFTER_SECONDS: '20',
    });
    expect(config).toEqual({
      port: 3000,
      host: '0.0.0.0',
      region: 'eu-west-1',
      models: { kind: 'bucket', bucket: 'bucket' },
      defaultModel: 'ranker',
      redisUrl: 'rediss://cache:6379',
      redisAccess: { cluster: true, iam: { userId: 'edge', cacheName: 'mlcdn-prod', region: 'eu-west-1' } },
      diskCacheDir: '/cache',
      diskCacheMaxBytes: 2_097_152,
      memoryCacheMaxBytes: 1_048_576,
      originUrl: 'https://origin.example',
      routePolicies: [
        { path: '/api/*', defaultTtlSeconds: 60, tags: ['api'] },
        { path: '*', cache: false },
      ],
      logLevel: 'warn',
      cloudWatchEnvironment: 'prod',
      cloudWatchDeployment: 'canary',
      channelPollMs: 7000,
      serverName: 'triton',
      modelWorkers: 3,
      modelRunTimeoutMs: 5_000,
      versionPolicy: { kind: 'latest', count: 2 },
      modelControl: true,
      taskId: 'task-1',
      ecsAgentUri: 'http://169.254.170.2/api/1',
      protectTransfersAfterMs: 20_000,
    });
  });

  it.each([
    [{ ...MODELS, PORT: '80a' }, 'PORT="80a": must be a TCP port, a whole number from 0 to 65535'],
    [{ ...MODELS, PORT: '65536' }, 'PORT="65536": must be a TCP port, a whole number from 0 to 65535'],
    [
      { ...MODELS, REDIS_URL: 'http://x' },
      'REDIS_URL="http://x": must be a URL that starts with redis:// or rediss://',
    ],
    [{ ...MODELS, REDIS_CLUSTER: 'yes' }, 'REDIS_CLUSTER="yes": must be true or false'],
    [
      { ...MODELS, REDIS_URL: 'rediss://x', REDIS_IAM_USER: 'edge' },
      'REDIS_IAM_USER and REDIS_IAM_CACHE_NAME must be set together: REDIS_IAM_CACHE_NAME is not set',
    ],
    [
      { ...MODELS, REDIS_URL: 'redis://x', REDIS_IAM_USER: 'edge', REDIS_IAM_CACHE_NAME: 'c' },
      'REDIS_URL="redis://x": must start with rediss:// with REDIS_IAM_USER, for IAM needs TLS',
    ],
    [{ ...MODELS, ORIGIN_URL: 'x' }, 'ORIGIN_URL="x": must be a URL that starts with http:// or https://'],
    [
      { ...MODELS, MEMORY_CACHE_MAX_BYTES: '10' },
      'MEMORY_CACHE_MAX_BYTES="10": must be a size in bytes, a whole number from 1048576 to 1099511627776',
    ],
    [
      { ...MODELS, MODEL_WORKERS: '0' },
      'MODEL_WORKERS="0": must be a number of worker processes, a whole number from 1 to 256',
    ],
    [
      { ...MODELS, MODEL_RUN_TIMEOUT_MS: '30s' },
      'MODEL_RUN_TIMEOUT_MS="30s": must be a time in milliseconds, a whole number from 1 to 3600000',
    ],
    [{ ...MODELS, ROUTE_POLICIES: '[{' }, 'ROUTE_POLICIES="[{": must be a JSON array of route policies'],
    [{ ...MODELS, ROUTE_POLICIES: '{}' }, 'ROUTE_POLICIES="{}": {} must be an array of route policies'],
    [
      { ...MODELS, ROUTE_POLICIES: '[{"path":"/a"},{"path":"/b","maxTtlSeconds":"1m"}]' },
      'ROUTE_POLICIES[1].maxTtlSeconds: "1m" must be whole seconds from 0 to 31536000',
    ],
    [{ ...MODELS, LOG_LEVEL: 'loud' }, 'LOG_LEVEL="loud": must be trace, debug, info, warn, error, fatal or silent'],
    [
      { ...MODELS, PROTECT_TRANSFERS_AFTER_SECONDS: '0' },
      'PROTECT_TRANSFERS_AFTER_SECONDS="0": must be a time in seconds, a whole number from 1 to 3600',
    ],
    [
      { ...MODELS, ECS_AGENT_URI: 'agent' },
      'ECS_AGENT_URI="agent": must be a URL that starts with http:// or https://',
    ],
    [{ ...MODELS, REGION: '' }, 'REGION="": must not be empty'],
    [{ MODEL_BUCKET: 'b' }, 'REGION must be set with MODEL_BUCKET: it is the region of the bucket'],
    [{}, 'exactly one of MODELS_DIR (a folder) and MODEL_BUCKET (an S3 bucket) must be set: neither is set'],
    [
      { MODELS_DIR: 'a', MODEL_BUCKET: 'b', REGION: 'eu-west-1' },
      'exactly one of MODELS_DIR (a folder) and MODEL_BUCKET (an S3 bucket) must be set: got MODELS_DIR="a" and MODEL_BUCKET="b"',
    ],
  ])('refuses %j', (environment, message) => {
    expect(() => readConfig(environment)).toThrow(new ConfigError(message));
  });
});
