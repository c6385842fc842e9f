import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { CacheStats, Tier } from './cache/types';

/** Where an answer came from, as metrics label it; `none` for answers without a cache look-up. */
export type CacheLevel = Tier | 'none';

const CACHE_TIERS = ['memory', 'l1', 'l2'] as const;

/** 0.1 ms to 10 s: a memory hit takes tenths of a millisecond, a large model seconds. */
const LATENCY_BUCKETS_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** The service's Prometheus metrics. */
export interface Metrics {
  readonly registry: Registry;
  /** Counts one answered request. */
  observe(request: { status: number; level: CacheLevel; seconds: number }): void;
}

/** Creates the metrics of one process; cache counters are read from `stats` at each scrape. */
export function createMetrics(region: string, stats: () => CacheStats): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ region });
  const requests = new Counter({
    name: 'cdn_requests_total',
    help: 'Requests answered, by HTTP status.',
    labelNames: ['status'],
    registers: [registry],
  });
  const latency = new Histogram({
    name: 'cdn_request_latency_seconds',
    help: 'Time from the request to the end of its answer, by the cache level that answered.',
    labelNames: ['cache_level'],
    buckets: LATENCY_BUCKETS_SECONDS,
    registers: [registry],
  });
  exportCacheStats(registry, stats);
  return {
    registry,
    observe({ status, level, seconds }) {
      requests.inc({ status: String(status) });
      latency.observe({ cache_level: level }, seconds);
    },
  };
}

function exportCacheStats(registry: Registry, stats: () => CacheStats): void {
  tierGauge(registry, 'cdn_cache_hit_rate', 'Share of all look-ups that this tier answered, 0 to 1.', () => {
    const { hits, misses } = stats();
    const lookups = hits.memory + hits.l1 + hits.l2 + misses;
    return CACHE_TIERS.map((tier) => [tier, lookups === 0 ? 0 : hits[tier] / lookups]);
  });
  tierCounter(registry, 'cdn_cache_hits_total', 'Look-ups that this tier answered.', () =>
    CACHE_TIERS.map((tier) => [tier, stats().hits[tier]]),
  );
  tierCounter(registry, 'cdn_cache_tier_errors_total', 'Operations on this tier that failed and became a miss.', () =>
    CACHE_TIERS.map((tier) => [tier, stats().tierErrors[tier]]),
  );
  tierCounter(registry, 'cdn_cache_evictions_total', 'Entries dropped to make room.', () =>
    Object.entries(stats().evictions),
  );
  tierGauge(registry, 'cdn_cache_bytes', 'Bytes held now.', () => Object.entries(stats().bytes));
  tierGauge(registry, 'cdn_cache_entries', 'Entries held now.', () => Object.entries(stats().entries));
  const totals = [
    ['cdn_cache_misses_total', 'Look-ups that no tier answered.', 'misses'],
    ['cdn_cache_fills_total', 'Answers computed or fetched.', 'fills'],
    ['cdn_cache_fill_errors_total', 'Answers that could not be computed or fetched.', 'fillErrors'],
    ['cdn_cache_collapsed_total', 'Requests that joined the fill of another.', 'collapsed'],
    ['cdn_cache_invalidated_total', 'Entries found to be invalidated.', 'invalidated'],
    ['cdn_cache_corrupt_total', 'Disk entries dropped because their checksum did not hold.', 'corrupt'],
  ] as const;
  for (const [name, help, field] of totals) totalCounter(registry, name, help, () => stats()[field]);
}

type TierValues = readonly (readonly [tier: string, value: number])[];

function tierGauge(registry: Registry, name: string, help: string, values: () => TierValues): void {
  new Gauge({
    name,
    help,
    labelNames: ['cache_level'],
    registers: [registry],
    collect() {
      for (const [tier, value] of values()) this.set({ cache_level: tier }, value);
    },
  });
}

function tierCounter(registry: Registry, name: string, help: string, values: () => TierValues): void {
  new Counter({
    name,
    help,
    labelNames: ['cache_level'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [tier, value] of values()) this.inc({ cache_level: tier }, value);
    },
  });
}

function totalCounter(registry: Registry, name: string, help: string, value: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(value());
    },
  });
}
