import { Registry } from 'prom-client';
import type { CacheStats, StoredTier, Tier } from './cache/types';
import { LatencyHistogram } from './latency-histogram';
import { counter, gauge, histogram, type Sample } from './metric-types';

/** Where an answer came from, as metrics label it; `none` for answers without a cache look-up. */
export type CacheLevel = Tier | 'none';

const LEVELS: readonly CacheLevel[] = ['memory', 'l1', 'l2', 'origin', 'none'];
const STORED_TIERS: readonly StoredTier[] = ['memory', 'l1', 'l2'];

/** 0.1 ms to 10 s: a memory hit takes tenths of a millisecond, a large model seconds. */
const LATENCY_BUCKETS_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** What metrics ask of the rest of the service at each scrape. */
export interface MetricSources {
  stats(): CacheStats;
  /** Messages of the control log that stand past the position applied here, as of the last comparison with its head. */
  invalidationLag?(): number | undefined;
  /** Seconds since this process last knew that it had applied the whole log. */
  invalidationLagSeconds?(): number | undefined;
  /** How loaded the process is, 0 to 1. */
  load?(): number;
  /** Whether each tier in use answers. */
  tierHealth?(): Partial<Record<StoredTier, boolean>>;
}

/** One answered request. */
export interface Observation {
  readonly status: number;
  readonly level: CacheLevel;
  /** Seconds from the request to the end of its answer. */
  readonly seconds: number;
  /** Bytes of the answer's body. */
  readonly bytes: number;
}

/** The service's Prometheus metrics. */
export interface Metrics {
  readonly registry: Registry;
  /** Counts one answered request. */
  observe(request: Observation): void;
  /** Counts so far of each level's latencies, in the buckets of `LatencyHistogram`. */
  latencies(): (readonly [CacheLevel, Float64Array])[];
}

/** Creates the metrics of one process; what others count is read from `sources` at each scrape. */
export function createMetrics(region: string, sources: MetricSources): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ region });
  const traffic = new Traffic();
  exportTraffic(registry, traffic);
  exportCacheStats(registry, () => sources.stats());
  exportHealth(registry, sources);
  return {
    registry,
    observe: (request) => traffic.add(request),
    latencies: () => [...traffic.levels].map(([level, { fine }]) => [level, fine.counts()] as const),
  };
}

const STATUSES = 600;
const SLOTS = LATENCY_BUCKETS_SECONDS.length + 1;

/** Plain numbers, added to for every request and made into samples only when somebody asks. */
class Traffic {
  readonly byStatus = new Float64Array(STATUSES);
  readonly levels = new Map(
    LEVELS.map((level) => [
      level,
      { latencies: new Float64Array(SLOTS), fine: new LatencyHistogram(), seconds: 0, bytes: 0 },
    ]),
  );

  add({ status, level, seconds, bytes }: Observation): void {
    this.byStatus[status] = (this.byStatus[status] ?? 0) + 1;
    const totals = this.levels.get(level);
    if (totals === undefined) return;
    let slot = 0;
    while (slot < LATENCY_BUCKETS_SECONDS.length && seconds > (LATENCY_BUCKETS_SECONDS[slot] ?? 0)) slot += 1;
    totals.latencies[slot] = (totals.latencies[slot] ?? 0) + 1;
    totals.fine.add(seconds);
    totals.seconds += seconds;
    totals.bytes += bytes;
  }
}

function exportTraffic(registry: Registry, traffic: Traffic): void {
  counter(registry, 'cdn_requests_total', 'Requests answered, by HTTP status.', () =>
    [...traffic.byStatus].flatMap((count, status) => (count > 0 ? [[{ status: String(status) }, count]] : [])),
  );
  counter(registry, 'cdn_response_body_bytes_total', 'Bytes of answers, by the cache level that answered.', () =>
    [...traffic.levels].map(([level, { bytes }]) => [{ cache_level: level }, bytes]),
  );
  histogram(
    registry,
    'cdn_request_latency_seconds',
    'Time from the request to the end of its answer, by the cache level that answered.',
    LATENCY_BUCKETS_SECONDS,
    () =>
      [...traffic.levels]
        .filter(([, { latencies }]) => latencies.some((count) => count > 0))
        .map(([level, { latencies, seconds }]) => [{ cache_level: level }, { slots: latencies, sum: seconds }]),
  );
}

function exportCacheStats(registry: Registry, stats: () => CacheStats): void {
  gauge(registry, 'cdn_cache_hit_rate', 'Share of all look-ups that this tier answered, 0 to 1.', () => {
    const { hits, misses } = stats();
    const lookups = hits.memory + hits.l1 + hits.l2 + misses;
    return STORED_TIERS.map((tier) => [{ cache_level: tier }, lookups === 0 ? 0 : hits[tier] / lookups]);
  });
  const tiers = [
    ['cdn_cache_hits_total', 'Look-ups that this tier answered.', 'hits'],
    ['cdn_cache_tier_errors_total', 'Operations on this tier that failed and became a miss.', 'tierErrors'],
    ['cdn_cache_evictions_total', 'Entries dropped to make room.', 'evictions'],
  ] as const;
  for (const [name, help, field] of tiers) counter(registry, name, help, () => byLabel('cache_level', stats()[field]));
  gauge(registry, 'cdn_cache_bytes', 'Bytes held now.', () => byLabel('cache_level', stats().bytes));
  gauge(registry, 'cdn_cache_entries', 'Entries held now.', () => byLabel('cache_level', stats().entries));
  counter(registry, 'cdn_cache_stale_serves_total', 'Answers given past their freshness, by why.', () =>
    byLabel('reason', stats().staleServes),
  );
  const totals = [
    ['cdn_cache_misses_total', 'Look-ups that no tier answered.', 'misses'],
    ['cdn_cache_fills_total', 'Answers computed or fetched.', 'fills'],
    ['cdn_cache_fill_errors_total', 'Answers that could not be computed or fetched.', 'fillErrors'],
    ['cdn_cache_collapsed_total', 'Requests that joined the fill of another.', 'collapsed'],
    ['cdn_cache_invalidated_total', 'Entries found to be invalidated.', 'invalidated'],
    [
      'cdn_cache_corrupt_total',
      'Entries of L1 and the disk that were misses because their checksum did not hold.',
      'corrupt',
    ],
  ] as const;
  for (const [name, help, field] of totals) counter(registry, name, help, () => [[{}, stats()[field]]]);
}

function exportHealth(registry: Registry, sources: MetricSources): void {
  gauge(
    registry,
    'cdn_load',
    'How loaded this process is, 0 to 1: the busiest of event loop, model slots and queues, averaged over seconds.',
    () => known(sources.load?.()),
  );
  gauge(registry, 'cdn_cache_tier_healthy', 'Whether a tier in use answers: 1, or 0 while it is left alone.', () =>
    Object.entries(sources.tierHealth?.() ?? {}).map(([tier, healthy]) => [{ cache_level: tier }, healthy ? 1 : 0]),
  );
  gauge(registry, 'cdn_invalidation_lag_messages', 'Control log messages past the position applied here.', () =>
    known(sources.invalidationLag?.()),
  );
  gauge(
    registry,
    'cdn_invalidation_lag_seconds',
    'Time since the whole control log was last known to be applied.',
    () => known(sources.invalidationLagSeconds?.()),
  );
}

function byLabel(label: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([name, value]) => [{ [label]: name }, value]);
}

/** A value that is not known has no sample: 0 would say that all is well. */
function known(value: number | undefined): Sample[] {
  return value === undefined ? [] : [[{}, value]];
}
