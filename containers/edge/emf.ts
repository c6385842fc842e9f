import type { Registry } from 'prom-client';
import {
  DEPLOYMENT_METRICS,
  HIT_LATENCY_TARGET_SECONDS,
  LIVE_TASKS,
  METRIC_TIERS,
  METRICS_NAMESPACE,
  type MetricTier,
  REGION_METRICS,
  type RegionMetric,
  TIER_METRICS,
  type TierMetric,
} from '../../lib/core/cloudwatch-metrics';
import { LatencyHistogram } from './latency-histogram';
import { MetricPage } from './metric-page';

/** A metric's value array may hold so many values. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
const MAX_VALUES = 100;

/** Live versions reported by one task; each is a metric of its own that is paid for. */
const MAX_LIVE_VERSIONS = 50;

const HIT_TIERS: readonly string[] = ['memory', 'l1', 'l2'];

/** A number read from the page of Prometheus metrics. Of a counter, what was added since the last report is told. */
interface Source {
  readonly kind: 'counter' | 'gauge';
  readonly read: (page: MetricPage) => number | undefined;
}

const counter = (name: string, where?: (labels: Readonly<Record<string, string>>) => boolean): Source => ({
  kind: 'counter',
  read: (page) => page.sum(name, where) ?? 0,
});
const gauge = (name: string): Source => ({ kind: 'gauge', read: (page) => page.sum(name) });

const isHit = ({ cache_level: level = '' }: Readonly<Record<string, string>>) => HIT_TIERS.includes(level);
const latencyCount = 'cdn_request_latency_seconds_count';

const REGION_SOURCES: Readonly<Record<RegionMetric, Source>> = {
  Requests: counter('cdn_requests_total'),
  ServerErrors: counter('cdn_requests_total', ({ status = '' }) => status >= '500'),
  ClientErrors: counter('cdn_requests_total', ({ status = '' }) => status >= '400' && status < '500'),
  ResponseBytes: counter('cdn_response_body_bytes_total'),
  HitRequests: counter(latencyCount, isHit),
  SlowHitRequests: {
    kind: 'counter',
    read: (page) => {
      const quick = page.sum(
        'cdn_request_latency_seconds_bucket',
        (labels) => isHit(labels) && Number(labels.le) === HIT_LATENCY_TARGET_SECONDS,
      );
      return (page.sum(latencyCount, isHit) ?? 0) - (quick ?? 0);
    },
  },
  LookupHits: counter('cdn_cache_hits_total'),
  LookupMisses: counter('cdn_cache_misses_total'),
  Fills: counter('cdn_cache_fills_total'),
  FillErrors: counter('cdn_cache_fill_errors_total'),
  StaleServes: counter('cdn_cache_stale_serves_total'),
  CorruptEntries: counter('cdn_cache_corrupt_total'),
  InvalidationLagMessages: gauge('cdn_invalidation_lag_messages'),
  InvalidationLagSeconds: gauge('cdn_invalidation_lag_seconds'),
  Load: gauge('cdn_load'),
  WorkerDeaths: counter('cdn_model_worker_deaths_total'),
  WorkerKills: counter('cdn_model_worker_kills_total'),
  RunTimeouts: counter('cdn_model_run_timeouts_total'),
  ModelsRefused: { kind: 'gauge', read: (page) => page.sum('cdn_model_refused') ?? 0 },
  ModelsQuarantined: { kind: 'gauge', read: (page) => page.sum('cdn_model_quarantined') ?? 0 },
};

type SampledTierMetric = Exclude<TierMetric, 'Latency'>;

const TIER_SOURCES: Readonly<Record<SampledTierMetric, { readonly kind: Source['kind']; readonly name: string }>> = {
  TierRequests: { kind: 'counter', name: latencyCount },
  TierResponseBytes: { kind: 'counter', name: 'cdn_response_body_bytes_total' },
  TierEvictions: { kind: 'counter', name: 'cdn_cache_evictions_total' },
  TierErrors: { kind: 'counter', name: 'cdn_cache_tier_errors_total' },
  StoredBytes: { kind: 'gauge', name: 'cdn_cache_bytes' },
  TierHealthy: { kind: 'gauge', name: 'cdn_cache_tier_healthy' },
};

/** A distribution as CloudWatch takes it: each value with how often it occurred. */
interface ValueCounts {
  readonly Values: readonly number[];
  readonly Counts: readonly number[];
  readonly Min: number;
  readonly Max: number;
  readonly Sum: number;
  readonly Count: number;
}

type Values = Readonly<Record<string, number | ValueCounts>>;

/** What is reported, and under which names. */
export interface EmfSettings {
  /** Value of the dimension `Environment`. */
  readonly environment: string;
  /** Value of the dimension `Region`. */
  readonly region: string;
  /** Value of the dimension `Deployment`, under which what tells a bad deployment is reported once more. */
  readonly deployment?: string | undefined;
  /** The service's Prometheus metrics. */
  readonly registry: Registry;
  /** Counts so far of each tier's latency histogram. */
  readonly latencies: () => Iterable<readonly [MetricTier, Float64Array]>;
  /** Takes one line, its line break included. */
  readonly write: (line: string) => void;
}

/**
 * Reports a task's metrics in CloudWatch's embedded metric format: lines of the log from which CloudWatch Logs makes
 * metrics, so that no agent runs beside the task. Only aggregates are told: a few lines each time, whatever the traffic.
 * The form of distributions is that of OpenTelemetry's exporter (`awsemfexporter`, `cWMetricHistogram`).
 */
export class EmfReporter {
  /** Counters and histograms as of the last report. */
  readonly #totals = new Map<string, number>();
  readonly #latencies = new Map<MetricTier, Float64Array>();

  constructor(private readonly settings: EmfSettings) {}

  /** Writes what happened since the last report. @param now ms since 1970 */
  async report(now: number): Promise<void> {
    const page = new MetricPage(await this.settings.registry.getMetricsAsJSON());
    const region = this.#regionValues(page);
    this.#write(now, {}, region, REGION_METRICS);
    const { deployment } = this.settings;
    if (deployment !== undefined) this.#write(now, { Deployment: deployment }, ofDeployment(region), REGION_METRICS);
    const latencies = new Map(this.settings.latencies());
    for (const tier of METRIC_TIERS) {
      const [latency, ...more] = this.#latencyOf(tier, latencies.get(tier));
      const values = { ...this.#tierValues(page, tier), ...(latency === undefined ? {} : { Latency: latency }) };
      this.#write(now, { Tier: tier }, values, TIER_METRICS);
      for (const rest of more) this.#write(now, { Tier: tier }, { Latency: rest }, TIER_METRICS);
    }
    const live = page.samples('cdn_model_live').filter(({ value }) => value === 1);
    for (const { labels } of live.slice(0, MAX_LIVE_VERSIONS)) {
      const { model: Model = '', version: Version = '' } = labels;
      this.#write(now, { Model, Version }, { [LIVE_TASKS]: 1 }, { [LIVE_TASKS]: 'Count' });
    }
  }

  #regionValues(page: MetricPage): Values {
    const values: Record<string, number> = {};
    for (const [name, source] of Object.entries(REGION_SOURCES)) {
      const value = this.#valueOf(name, source, page);
      if (value !== undefined) values[name] = value;
    }
    return values;
  }

  #tierValues(page: MetricPage, tier: MetricTier): Values {
    const values: Record<string, number> = {};
    for (const [name, { kind, name: metric }] of Object.entries(TIER_SOURCES)) {
      const read = () => page.sum(metric, ({ cache_level: level }) => level === tier);
      const value = this.#valueOf(`${name}/${tier}`, { kind, read }, page);
      if (value !== undefined) values[name] = value;
    }
    return values;
  }

  #valueOf(key: string, { kind, read }: Source, page: MetricPage): number | undefined {
    const value = read(page);
    if (kind === 'gauge' || value === undefined) return value;
    const added = value - (this.#totals.get(key) ?? 0);
    this.#totals.set(key, value);
    return added;
  }

  #latencyOf(tier: MetricTier, counts: Float64Array | undefined): ValueCounts[] {
    if (counts === undefined) return [];
    const before = this.#latencies.get(tier);
    this.#latencies.set(tier, counts);
    const added = [...counts].flatMap((count, bucket) => {
      const more = count - (before?.[bucket] ?? 0);
      return more > 0 ? [{ value: toMilliseconds(LatencyHistogram.middleSeconds(bucket)), count: more }] : [];
    });
    const parts: ValueCounts[] = [];
    for (let at = 0; at < added.length; at += MAX_VALUES) parts.push(valueCounts(added.slice(at, at + MAX_VALUES)));
    return parts;
  }

  #write(
    now: number,
    dimensions: Readonly<Record<string, string>>,
    values: Values,
    units: Readonly<Record<string, string>>,
  ): void {
    const names = Object.keys(values);
    if (names.length === 0) return;
    const { environment: Environment, region: Region } = this.settings;
    const named = { Environment, Region, ...dimensions };
    const document = {
      _aws: {
        Timestamp: now,
        CloudWatchMetrics: [
          {
            Namespace: METRICS_NAMESPACE,
            Dimensions: [Object.keys(named)],
            Metrics: names.map((name) => ({ Name: name, Unit: units[name] })),
          },
        ],
      },
      ...named,
      ...values,
    };
    this.settings.write(`${JSON.stringify(document)}\n`);
  }
}

function ofDeployment(values: Values): Values {
  const told: readonly string[] = DEPLOYMENT_METRICS;
  return Object.fromEntries(Object.entries(values).filter(([name]) => told.includes(name)));
}

function valueCounts(points: readonly { readonly value: number; readonly count: number }[]): ValueCounts {
  const values = points.map(({ value }) => value);
  const counts = points.map(({ count }) => count);
  return {
    Values: values,
    Counts: counts,
    Min: Math.min(...values),
    Max: Math.max(...values),
    Sum: points.reduce((sum, { value, count }) => sum + value * count, 0),
    Count: counts.reduce((sum, count) => sum + count, 0),
  };
}

function toMilliseconds(seconds: number): number {
  return Number((seconds * 1000).toPrecision(4));
}
