import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { RoutePolicies, type RoutePolicy } from '../../lib/core/cache-policy';
import { ModelName } from '../../lib/core/model-name';
import type { RedisAccess } from './cache/redis-connection';
import { type VersionPolicy, VersionPolicyText } from './inference/version-policy';

const wholeNumber = (what: string, min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, { error: `must be ${what}, a whole number from ${min} to ${max}` })
    .transform(Number)
    .refine((value) => value >= min && value <= max, {
      error: `must be ${what}, a whole number from ${min} to ${max}`,
    });

const url = (protocols: readonly string[]) =>
  z.string().refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), {
    error: `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  });

const text = z.string().min(1, { error: 'must not be empty' });

/** A JSON document. What is wrong in it is reported at its own path, with its own value. */
const json = <T>(schema: z.ZodType<T>, meaning: string) =>
  z
    .string()
    .transform((value, context) => {
      try {
        return JSON.parse(value) as unknown;
      } catch {
        context.addIssue({ code: 'custom', message: `must be ${meaning}` });
        return z.NEVER;
      }
    })
    .pipe(schema);

const MIB = 1024 * 1024;
const MAX_BYTES = 2 ** 40;

/** The environment variables of an edge task; everything else in the environment is someone else's. */
export const EdgeEnvironment = z.object({
  PORT: wholeNumber('a TCP port', 0, 65_535).prefault('8080'),
  /** Address to listen on. The image says 0.0.0.0; on a developer's machine nobody else should reach it. */
  HOST: text.default('127.0.0.1'),
  /** Name of the region in answers, metrics and AWS calls. */
  REGION: text.default('local'),
  /** Name in the Open Inference Protocol's server metadata. Some programs written for Triton insist on `triton`. */
  SERVER_NAME: text.default('mlcdn'),
  MODELS_DIR: text.optional(),
  MODEL_BUCKET: text.optional(),
  DEFAULT_MODEL: ModelName.optional(),
  REDIS_URL: url(['redis:', 'rediss:']).optional(),
  /** Whether REDIS_URL is the configuration endpoint of a cluster. */
  REDIS_CLUSTER: z.enum(['true', 'false'], { error: 'must be true or false' }).default('false'),
  /** ElastiCache user that logs in by IAM, with the id of the replication group that it logs in to. */
  REDIS_IAM_USER: text.optional(),
  REDIS_IAM_CACHE_NAME: text.optional(),
  DISK_CACHE_DIR: text.optional(),
  DISK_CACHE_MAX_BYTES: wholeNumber('a size in bytes', MIB, MAX_BYTES).prefault(String(1024 * MIB)),
  MEMORY_CACHE_MAX_BYTES: wholeNumber('a size in bytes', MIB, MAX_BYTES).prefault(String(128 * MIB)),
  ORIGIN_URL: url(['http:', 'https:']).optional(),
  ROUTE_POLICIES: json(RoutePolicies, 'a JSON array of route policies').prefault('[]'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      error: 'must be trace, debug, info, warn, error, fatal or silent',
    })
    .default('info'),
  /** Environment under whose name metrics go to CloudWatch, by lines in the log; absent: none are written. */
  CLOUDWATCH_ENVIRONMENT: text.optional(),
  /** Deployment under whose name this task's requests and errors are reported once more; absent: none. */
  CLOUDWATCH_DEPLOYMENT: text.optional(),
  CHANNEL_POLL_SECONDS: wholeNumber('a pause in seconds', 1, 3_600).prefault('5'),
  /** Worker processes that run models; by default as many as the CPUs that this process may use. */
  MODEL_WORKERS: wholeNumber('a number of worker processes', 1, 256).optional(),
  /** Longest that a run of a model may take; its worker is replaced then. */
  MODEL_RUN_TIMEOUT_MS: wholeNumber('a time in milliseconds', 1, 3_600_000).prefault('30000'),
  /**
   * Which versions stay in memory: all, latest, latest:N or specific:1,3. In a folder, where the highest of them is live,
   * the default is all; in a bucket these are kept beside the live version and the one before it, by default none.
   */
  MODEL_VERSION_POLICY: VersionPolicyText.optional(),
  /**
   * Whether clients may load and unload models (explicit) or only look at them (none). By default explicit for a folder,
   * and none for a bucket, whose channels decide.
   */
  MODEL_CONTROL: z.enum(['explicit', 'none'], { error: 'must be explicit or none' }).optional(),
  TASK_ID: text.optional(),
  /** The ECS agent of this task, which can protect it from scale-in; ECS sets it, and without it nobody is asked. */
  ECS_AGENT_URI: url(['http:', 'https:']).optional(),
  /** How long a body must have been on its way to its client before the task is protected for its sake. */
  PROTECT_TRANSFERS_AFTER_SECONDS: wholeNumber('a time in seconds', 1, 3_600).prefault('10'),
});

/** Configuration of an edge task. */
export interface EdgeConfig {
  readonly port: number;
  readonly host: string;
  readonly region: string;
  readonly serverName: string;
  readonly models:
    | { readonly kind: 'folder'; readonly folder: string }
    | { readonly kind: 'bucket'; readonly bucket: string };
  /** Absent: the default of the folder or the bucket. */
  readonly versionPolicy: VersionPolicy | undefined;
  /** Whether clients may load and unload models. */
  readonly modelControl: boolean;
  readonly defaultModel: string | undefined;
  readonly redisUrl: string | undefined;
  readonly redisAccess: RedisAccess;
  readonly diskCacheDir: string | undefined;
  readonly diskCacheMaxBytes: number;
  readonly memoryCacheMaxBytes: number;
  readonly originUrl: string | undefined;
  /** How the HTTP origin's responses are cached; the first that matches a path applies. */
  readonly routePolicies: readonly RoutePolicy[];
  readonly logLevel: string;
  /** Value of the dimension `Environment` of metrics for CloudWatch; `undefined`: none are reported. */
  readonly cloudWatchEnvironment: string | undefined;
  readonly cloudWatchDeployment: string | undefined;
  readonly channelPollMs: number;
  /** `undefined`: by the CPU quota. */
  readonly modelWorkers: number | undefined;
  readonly modelRunTimeoutMs: number;
  readonly taskId: string;
  /** `undefined` outside ECS. */
  readonly ecsAgentUri: string | undefined;
  readonly protectTransfersAfterMs: number;
}

/** A configuration that cannot be used; the message is one sentence for whoever set it. */
export class ConfigError extends Error {}

/** Configuration from environment variables. Throws `ConfigError` naming the variable, its value and what is allowed. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): EdgeConfig {
  const parsed = EdgeEnvironment.safeParse(environment);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const variable = String(issue?.path[0]);
    const isWithin = (issue?.path.length ?? 0) > 1;
    const where = isWithin
      ? z.core.toDotPath(issue?.path ?? [])
      : `${variable}=${JSON.stringify(environment[variable])}`;
    throw new ConfigError(`${where}: ${issue?.message}`);
  }
  const variables = parsed.data;
  if (variables.MODEL_BUCKET !== undefined && environment.REGION === undefined) {
    throw new ConfigError('REGION must be set with MODEL_BUCKET: it is the region of the bucket');
  }
  return {
    port: variables.PORT,
    host: variables.HOST,
    region: variables.REGION,
    serverName: variables.SERVER_NAME,
    models: modelLocation(variables),
    versionPolicy: variables.MODEL_VERSION_POLICY,
    modelControl:
      (variables.MODEL_CONTROL ?? (variables.MODELS_DIR === undefined ? 'none' : 'explicit')) === 'explicit',
    defaultModel: variables.DEFAULT_MODEL,
    redisUrl: variables.REDIS_URL,
    redisAccess: { cluster: variables.REDIS_CLUSTER === 'true', iam: redisIam(variables) },
    diskCacheDir: variables.DISK_CACHE_DIR,
    diskCacheMaxBytes: variables.DISK_CACHE_MAX_BYTES,
    memoryCacheMaxBytes: variables.MEMORY_CACHE_MAX_BYTES,
    originUrl: variables.ORIGIN_URL,
    routePolicies: variables.ROUTE_POLICIES,
    logLevel: variables.LOG_LEVEL,
    cloudWatchEnvironment: variables.CLOUDWATCH_ENVIRONMENT,
    cloudWatchDeployment: variables.CLOUDWATCH_DEPLOYMENT,
    channelPollMs: variables.CHANNEL_POLL_SECONDS * 1000,
    modelWorkers: variables.MODEL_WORKERS,
    modelRunTimeoutMs: variables.MODEL_RUN_TIMEOUT_MS,
    taskId: variables.TASK_ID ?? randomUUID(),
    ecsAgentUri: variables.ECS_AGENT_URI,
    protectTransfersAfterMs: variables.PROTECT_TRANSFERS_AFTER_SECONDS * 1000,
  };
}

function modelLocation(variables: z.infer<typeof EdgeEnvironment>): EdgeConfig['models'] {
  const { MODELS_DIR: folder, MODEL_BUCKET: bucket } = variables;
  if (folder !== undefined && bucket === undefined) return { kind: 'folder', folder };
  if (bucket !== undefined && folder === undefined) return { kind: 'bucket', bucket };
  const got =
    folder === undefined ? 'neither is set' : `got MODELS_DIR=${show(folder)} and MODEL_BUCKET=${show(bucket)}`;
  throw new ConfigError(`exactly one of MODELS_DIR (a folder) and MODEL_BUCKET (an S3 bucket) must be set: ${got}`);
}

function redisIam(variables: z.infer<typeof EdgeEnvironment>): RedisAccess['iam'] {
  const { REDIS_IAM_USER: userId, REDIS_IAM_CACHE_NAME: cacheName, REDIS_URL: redisUrl, REGION: region } = variables;
  if (userId === undefined && cacheName === undefined) return undefined;
  if (userId === undefined || cacheName === undefined) {
    const got = userId === undefined ? 'REDIS_IAM_USER is not set' : 'REDIS_IAM_CACHE_NAME is not set';
    throw new ConfigError(`REDIS_IAM_USER and REDIS_IAM_CACHE_NAME must be set together: ${got}`);
  }
  if (!redisUrl?.startsWith('rediss://')) {
    throw new ConfigError(
      `REDIS_URL=${show(redisUrl)}: must start with rediss:// with REDIS_IAM_USER, for IAM needs TLS`,
    );
  }
  return { userId, cacheName, region };
}

function show(value: string | undefined): string {
  return JSON.stringify(value);
}

/** Time an ECS agent may take to say which task this is, ms. */
const METADATA_TIMEOUT_MS = 2_000;

/**
 * The id of the ECS task that this process is in, from the task metadata endpoint; `undefined` outside ECS.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html
 */
export async function ecsTaskId(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  const endpoint = environment.ECS_CONTAINER_METADATA_URI_V4;
  if (endpoint === undefined) return undefined;
  try {
    const response = await fetch(`${endpoint}/task`, { signal: AbortSignal.timeout(METADATA_TIMEOUT_MS) });
    const { TaskARN: arn } = z.object({ TaskARN: z.string() }).parse(await response.json());
    return arn.split('/').at(-1);
  } catch {
    // The id only names this task in reports; a random one serves as well.
    return undefined;
  }
}
