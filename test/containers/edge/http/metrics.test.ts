import type { CacheStats } from '../../../../containers/edge/cache/types';
import { createMetrics, type MetricSources } from '../../../../containers/edge/metrics';

const STATS: CacheStats = {
  hits: { memory: 6, l1: 2, l2: 1 },
  misses: 1,
  fills: 4,
  fillErrors: 1,
  collapsed: 3,
  staleServes: { revalidating: 5, error: 2 },
  invalidated: 7,
  tierErrors: { memory: 0, l1: 9, l2: 0 },
  evictions: { memory: 11, l2: 12 },
  bytes: { memory: 1_000, l2: 2_000 },
  entries: { memory: 10, l2: 20 },
  corrupt: 8,
};

async function lines(
  observe: (metrics: ReturnType<typeof createMetrics>) => void,
  sources: Partial<MetricSources> = {},
) {
  const metrics = createMetrics('eu-west-1', { stats: () => STATS, ...sources });
  observe(metrics);
  const text = await metrics.registry.metrics();
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

const nothing = () => undefined;

it('counts requests by status and bytes by the level that answered', async () => {
  const text = await lines(({ observe }) => {
    observe({ status: 200, level: 'memory', seconds: 0.001, bytes: 70 });
    observe({ status: 200, level: 'l1', seconds: 0.001, bytes: 30 });
    observe({ status: 404, level: 'none', seconds: 0.001, bytes: 0 });
  });
  expect(text).toContain('cdn_requests_total{status="200",region="eu-west-1"} 2');
  expect(text).toContain('cdn_requests_total{status="404",region="eu-west-1"} 1');
  expect(text).toContain('cdn_response_body_bytes_total{cache_level="memory",region="eu-west-1"} 70');
  expect(text).toContain('cdn_response_body_bytes_total{cache_level="l1",region="eu-west-1"} 30');
  expect(text.filter((line) => line.startsWith('cdn_requests_total'))).toHaveLength(2);
});

it('puts a latency into every bucket that holds it, its own upper bound included', async () => {
  const text = await lines(({ observe }) => {
    for (const seconds of [0.0001, 0.00011, 0.3, 99]) observe({ status: 200, level: 'origin', seconds, bytes: 0 });
  });
  const bucket = (le: string) => {
    const prefix = `cdn_request_latency_seconds_bucket{le="${le}",cache_level="origin",region="eu-west-1"} `;
    return Number(text.find((line) => line.startsWith(prefix))?.slice(prefix.length));
  };
  expect(['0.0001', '0.00025', '0.25', '0.5', '10', '+Inf'].map(bucket)).toEqual([1, 2, 2, 3, 3, 4]);
  expect(text).toContain('cdn_request_latency_seconds_count{cache_level="origin",region="eu-west-1"} 4');
  expect(text).toContain('cdn_request_latency_seconds_sum{cache_level="origin",region="eu-west-1"} 99.30021');
});

it('says what the cache says, and the same when scraped again', async () => {
  const metrics = createMetrics('eu-west-1', { stats: () => STATS });
  const first = await metrics.registry.metrics();
  expect(await metrics.registry.metrics()).toBe(first);
  for (const line of [
    'cdn_cache_hit_rate{cache_level="memory",region="eu-west-1"} 0.6',
    'cdn_cache_hits_total{cache_level="l1",region="eu-west-1"} 2',
    'cdn_cache_misses_total{region="eu-west-1"} 1',
    'cdn_cache_fills_total{region="eu-west-1"} 4',
    'cdn_cache_fill_errors_total{region="eu-west-1"} 1',
    'cdn_cache_collapsed_total{region="eu-west-1"} 3',
    'cdn_cache_stale_serves_total{reason="revalidating",region="eu-west-1"} 5',
    'cdn_cache_stale_serves_total{reason="error",region="eu-west-1"} 2',
    'cdn_cache_invalidated_total{region="eu-west-1"} 7',
    'cdn_cache_corrupt_total{region="eu-west-1"} 8',
    'cdn_cache_tier_errors_total{cache_level="l1",region="eu-west-1"} 9',
    'cdn_cache_evictions_total{cache_level="l2",region="eu-west-1"} 12',
    'cdn_cache_bytes{cache_level="memory",region="eu-west-1"} 1000',
    'cdn_cache_entries{cache_level="l2",region="eu-west-1"} 20',
  ]) {
    expect(first.split('\n')).toContain(line);
  }
});

it('says which tiers answer and how far behind the control log is', async () => {
  const text = await lines(nothing, {
    tierHealth: () => ({ memory: true, l1: false }),
    invalidationLag: () => 3,
    invalidationLagSeconds: () => 1.5,
  });
  expect(text).toContain('cdn_cache_tier_healthy{cache_level="memory",region="eu-west-1"} 1');
  expect(text).toContain('cdn_cache_tier_healthy{cache_level="l1",region="eu-west-1"} 0');
  expect(text).toContain('cdn_invalidation_lag_messages{region="eu-west-1"} 3');
  expect(text).toContain('cdn_invalidation_lag_seconds{region="eu-west-1"} 1.5');
});

it('has no sample for a lag that is not known', async () => {
  const text = await lines(nothing, { invalidationLag: () => undefined });
  expect(text.filter((line) => line.startsWith('cdn_invalidation_lag'))).toEqual([]);
});
