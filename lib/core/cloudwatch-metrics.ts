/**
 * What edge tasks report to CloudWatch and dashboards and alarms ask for: names and units, by what a number is about.
 * Units are CloudWatch's own (`StandardUnit` in its API reference).
 */

/** Namespace of every metric below. */
export const METRICS_NAMESPACE = 'mlcdn';

/** Answers from a cache tier should be quicker than this, s; also a bound of the Prometheus histogram. */
export const HIT_LATENCY_TARGET_SECONDS = 0.05;

/** Dimensions `Environment` and `Region`. Counters say what was added since the task's last report. */
export const REGION_METRICS = {
  /** Requests answered. */
  Requests: 'Count',
  /** Answers of 5xx. */
  ServerErrors: 'Count',
  /** Answers of 4xx. */
  ClientErrors: 'Count',
  ResponseBytes: 'Bytes',
  /** Requests that a cache tier answered. */
  HitRequests: 'Count',
  /** Those of them that took longer than `HIT_LATENCY_TARGET_SECONDS`. */
  SlowHitRequests: 'Count',
  /** Look-ups in the cache that a tier answered. */
  LookupHits: 'Count',
  /** Look-ups that no tier answered. */
  LookupMisses: 'Count',
  /** Answers computed or fetched from the origin. */
  Fills: 'Count',
  FillErrors: 'Count',
  StaleServes: 'Count',
  CorruptEntries: 'Count',
  InvalidationLagMessages: 'Count',
  InvalidationLagSeconds: 'Seconds',
  /** How loaded a task is, 0 to 1. */
  Load: 'None',
  WorkerDeaths: 'Count',
  WorkerKills: 'Count',
  RunTimeouts: 'Count',
  /** Model versions that the task refuses to serve. */
  ModelsRefused: 'Count',
  /** Model versions that get no worker for now. */
  ModelsQuarantined: 'Count',
} as const;
export type RegionMetric = keyof typeof REGION_METRICS;

/** Of these, what tasks of a named deployment report once more under the dimension `Deployment`. */
export const DEPLOYMENT_METRICS = ['Requests', 'ServerErrors'] as const satisfies readonly RegionMetric[];

/** Value of the dimension `Deployment` of the task that gets a new version of the service first. */
export const CANARY_DEPLOYMENT = 'canary';

/** Dimensions `Environment`, `Region` and `Tier`. */
export const TIER_METRICS = {
  /** Requests that this tier answered. */
  TierRequests: 'Count',
  TierResponseBytes: 'Bytes',
  /** From the request to the end of its answer: a distribution, so percentiles can be asked for. */
  Latency: 'Milliseconds',
  TierEvictions: 'Count',
  TierErrors: 'Count',
  StoredBytes: 'Bytes',
  /** 1 while the tier answers, 0 while it is left alone. */
  TierHealthy: 'None',
} as const;
export type TierMetric = keyof typeof TIER_METRICS;

/** Tiers by which metrics are told apart; `none` are answers without a look-up. */
export const METRIC_TIERS = ['memory', 'l1', 'l2', 'origin', 'none'] as const;
export type MetricTier = (typeof METRIC_TIERS)[number];

/** Dimensions `Environment`, `Region`, `Model` and `Version`: 1 from each task in which the version is live. */
export const LIVE_TASKS = 'LiveTasks';
