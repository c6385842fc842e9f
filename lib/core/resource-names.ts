/**
 * Names that several stacks, the operator CLI and the running service must agree on. They are computed from the
 * environment instead of exported from one stack to another, so that regional stacks stay independent.
 */
export interface NamingScope {
  /** Environment name, e.g. `prod`. */
  readonly environment: string;
  /** Twelve-digit account id. */
  readonly account: string;
}

/** Name of the model bucket of a region, in the account-regional bucket namespace (suffix `-<account>-<region>-an`). */
export function modelBucketName(scope: NamingScope, region: string): string {
  return `${modelBucketPrefix(scope)}-${scope.account}-${region}-an`;
}

/** The part of a model bucket's name that a template gives; S3 appends account, region and `-an`. */
export function modelBucketPrefix(scope: NamingScope): string {
  return `mlcdn-${scope.environment}-models`;
}

/** Name of a region's control topic. */
export function controlTopicName(scope: NamingScope): string {
  return `mlcdn-${scope.environment}-control`;
}

/** ARN of a region's control topic. */
export function controlTopicArn(scope: NamingScope, region: string): string {
  return `arn:aws:sns:${region}:${scope.account}:${controlTopicName(scope)}`;
}

/** Name of a region's status function. */
export function statusFunctionName(scope: NamingScope): string {
  return `mlcdn-${scope.environment}-status`;
}

/** Id of a region's Valkey replication group (at most 40 characters). */
export function replicationGroupId(scope: NamingScope): string {
  return `mlcdn-${scope.environment}`;
}

/** Who logs in to a region's Valkey: its edge tasks, or the functions of its control path. */
export type CacheUserRole = 'edge' | 'control';

/** Id, and with IAM also the name, of the ElastiCache user of a role. */
export function cacheUserId(scope: NamingScope, role: CacheUserRole): string {
  return `mlcdn-${scope.environment}-${role}`;
}

/** Id of the ElastiCache user group of a region (at most 40 characters). */
export function cacheUserGroupId(scope: NamingScope): string {
  return `mlcdn-${scope.environment}`;
}

/** Name of a region's ECS cluster and of the edge service in it. */
export function edgeServiceName(scope: NamingScope): string {
  return `mlcdn-${scope.environment}-edge`;
}

/** Name of a region's load balancer (at most 32 characters). */
export function loadBalancerName(scope: NamingScope): string {
  return edgeServiceName(scope);
}

/** Name of the service of the task that gets a new version of the edge service first. */
export function canaryServiceName(scope: NamingScope): string {
  return `${edgeServiceName(scope)}-canary`;
}

/** Stack names: deterministic, so that the CLI finds them. */
export const stackNames = {
  keys: (scope: NamingScope): string => `mlcdn-${scope.environment}-keys`,
  models: (scope: NamingScope, region: string): string => `mlcdn-${scope.environment}-models-${region}`,
  edge: (scope: NamingScope, region: string): string => `mlcdn-${scope.environment}-edge-${region}`,
  global: (scope: NamingScope): string => `mlcdn-${scope.environment}-global`,
};

/** Keys of the global stack's outputs. */
export const GLOBAL_OUTPUTS = {
  distributionId: 'DistributionId',
  distributionDomain: 'DistributionDomain',
  keyValueStoreArn: 'KeyValueStoreArn',
} as const;

/** Keys of an edge stack's outputs. */
export const EDGE_OUTPUTS = { healthCheckId: 'HealthCheckId' } as const;

/** CloudFront only reads certificates, and CDK's global resources live, in this region. */
export const GLOBAL_REGION = 'us-east-1';
