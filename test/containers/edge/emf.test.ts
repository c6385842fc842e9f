import type { CacheStats } from '../../../containers/edge/cache/types';
import { startCloudWatchReports } from '../../../containers/edge/cloudwatch-reports';
import { EmfReporter } from '../../../containers/edge/emf';
import { gauge } from '../../../containers/edge/metric-types';
import { createMetrics, type MetricSources } from '../../../containers/edge/metrics';
import { LIVE_TASKS, REGION_METRICS, TIER_METRICS } from '../../../lib/core/cloudwatch-metrics';

interface Directive {
  readonly Namespace: string;
  readonly Dimensions: readonly string[][];
  readonly Metrics: readonly { readonly Name: string; readonly Unit: string }[];
}
interface Document extends Record<string, unknown> {
  readonly _aws: { readonly Timestamp: number; readonly CloudWatchMetrics: readonly Directive[] };
}
interface ValueCounts {
  readonly Values: number[];
  readonly Counts: number[];
  readonly Min: number;
  readonly Max: number;
  readonly Count: number;
}

const quiet = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };

function statsOf(changes: Partial<CacheStats> = {}): CacheStats {
  return {
    hits: { memory: 0, l1: 0, l2: 0 },
    misses: 0,
    fills: 0,
    fillErrors: 0,
    collapsed: 0,
    staleServes: { revalidating: 0, error: 0 },
    invalidated: 0,
    tierErrors: { memory: 0, l1: 0, l2: 0 },
    evictions: { memory: 0, l2: 0 },
    bytes: { memory: 0, l2: 0 },
    entries: { memory: 0, l2: 0 },
    corrupt: 0,
    ...changes,
  };
}

function setUp(sources: Partial<MetricSources> = {}) {
  const lines: string[] = [];
  const metrics = createMetrics('eu-west-1', { stats: () => statsOf(), ...sources });
  const settings = {
    environment: 'prod',
    region: 'eu-west-1',
    registry: metrics.registry,
    latencies: metrics.latencies,
    write: (line: string) => void lines.push(line),
  };
  const documents = () => lines.splice(0).map((line) => JSON.parse(line) as Document);
  return { metrics, settings, lines, documents, reporter: new EmfReporter(settings) };
}

const ofRegion = (all: readonly Document[]) => all.find((document) => !('Tier' in document) && !('Model' in document));
const ofTier = (all: readonly Document[], tier: string) => all.filter((document) => document.Tier === tier);

test('each line is one document whose metrics and dimensions stand in its root', async () => {
  const { reporter, lines, metrics } = setUp({ load: () => 0.5, tierHealth: () => ({ l1: false, memory: true }) });
  metrics.observe({ status: 200, level: 'memory', seconds: 0.001, bytes: 10 });
  await reporter.report(1_700_000_000_000);
  expect(lines.length).toBeGreaterThan(5);
  for (const line of lines) {
    expect(line.endsWith('\n')).toBe(true);
    const document = JSON.parse(line) as Document;
    expect(document._aws.Timestamp).toBe(1_700_000_000_000);
    const [directive] = document._aws.CloudWatchMetrics;
    expect(directive?.Namespace).toBe('mlcdn');
    expect(directive?.Dimensions).toHaveLength(1);
    for (const dimension of directive?.Dimensions[0] ?? []) expect(typeof document[dimension]).toBe('string');
    const known: Record<string, string> = { ...REGION_METRICS, ...TIER_METRICS, [LIVE_TASKS]: 'Count' };
    for (const { Name, Unit } of directive?.Metrics ?? []) {
      expect(document).toHaveProperty(Name);
      expect(Unit).toBe(known[Name]);
    }
  }
});

test('a counter tells what was added since the last report, a gauge what holds', async () => {
  let stats = statsOf({ hits: { memory: 6, l1: 2, l2: 1 }, misses: 3, bytes: { memory: 100, l2: 7 } });
  const { reporter, documents, metrics } = setUp({ stats: () => stats, load: () => 0.25 });
  const answer = (status: number) => metrics.observe({ status, level: 'none', seconds: 0.001, bytes: 5 });
  for (const status of [200, 404, 500, 503]) answer(status);
  await reporter.report(0);
  expect(ofRegion(documents())).toMatchObject({
    Requests: 4,
    ClientErrors: 1,
    ServerErrors: 2,
    ResponseBytes: 20,
    LookupHits: 9,
    LookupMisses: 3,
    Load: 0.25,
  });
  answer(200);
  stats = { ...stats, misses: 5 };
  await reporter.report(60_000);
  const second = documents();
  expect(ofRegion(second)).toMatchObject({ Requests: 1, ServerErrors: 0, LookupHits: 0, LookupMisses: 2, Load: 0.25 });
  expect(ofTier(second, 'memory')[0]).toMatchObject({ StoredBytes: 100 });
});

test('what is not known is not reported', async () => {
  const { reporter, documents } = setUp({ invalidationLagSeconds: () => undefined });
  await reporter.report(0);
  expect(ofRegion(documents())).not.toHaveProperty('InvalidationLagSeconds');
});

test('a sick tier is told apart from the others', async () => {
  const { reporter, documents } = setUp({ tierHealth: () => ({ memory: true, l1: true, l2: false }) });
  await reporter.report(0);
  const all = documents();
  expect(ofTier(all, 'l2')[0]).toMatchObject({ TierHealthy: 0 });
  expect(ofTier(all, 'l1')[0]).toMatchObject({ TierHealthy: 1 });
  expect(ofTier(all, 'origin')[0]).not.toHaveProperty('TierHealthy');
});

test('hits slower than 50 ms are counted, other slow answers are not', async () => {
  const { reporter, documents, metrics } = setUp();
  const answers = [
    ['memory', 0.05],
    ['memory', 0.0501],
    ['l1', 3],
    ['l2', 0.001],
    ['origin', 3],
    ['none', 3],
  ] as const;
  for (const [level, seconds] of answers) metrics.observe({ status: 200, level, seconds, bytes: 0 });
  await reporter.report(0);
  expect(ofRegion(documents())).toMatchObject({ HitRequests: 4, SlowHitRequests: 2 });
});

test("a tier's latencies of the last minute are values with counts", async () => {
  const { reporter, documents, metrics } = setUp();
  const observe = (seconds: number) => metrics.observe({ status: 200, level: 'l1', seconds, bytes: 0 });
  for (const seconds of [0.01, 0.01, 0.2]) observe(seconds);
  await reporter.report(0);
  documents();
  for (const seconds of [0.01, 2, 2, 2]) observe(seconds);
  await reporter.report(60_000);
  const [document] = ofTier(documents(), 'l1');
  const latency = document?.Latency as ValueCounts;
  expect(latency.Counts).toEqual([1, 3]);
  expect(latency.Count).toBe(4);
  expect(latency.Values[0]).toBeCloseTo(10, -1);
  expect(Math.abs((latency.Values[1] ?? 0) - 2000)).toBeLessThanOrEqual(125);
  expect([latency.Min, latency.Max]).toEqual(latency.Values);
});

test('a distribution of more than a hundred values is told in several documents that lose nothing', async () => {
  const { reporter, documents, metrics } = setUp();
  for (let exponent = -14.9; exponent < 6; exponent += 0.05) {
    metrics.observe({ status: 200, level: 'origin', seconds: 2 ** exponent, bytes: 0 });
  }
  await reporter.report(0);
  const latencies = ofTier(documents(), 'origin').map(({ Latency }) => Latency as ValueCounts);
  expect(latencies.length).toBeGreaterThan(1);
  for (const { Values, Counts } of latencies) {
    expect(Values.length).toBeLessThanOrEqual(100);
    expect(Counts).toHaveLength(Values.length);
  }
  const all = latencies.flatMap(({ Counts }) => Counts).reduce((sum, count) => sum + count, 0);
  expect(all).toBe(
    metrics
      .latencies()
      .find(([level]) => level === 'origin')?.[1]
      .reduce((sum, count) => sum + count, 0),
  );
  expect(all).toBeGreaterThan(400);
});

test('live versions have a document each; others and refused ones have none but are counted', async () => {
  const { reporter, documents, metrics } = setUp();
  gauge(metrics.registry, 'cdn_model_live', 'live', () => [
    [{ model: 'ranker', version: '2' }, 1],
    [{ model: 'ranker', version: '1' }, 0],
  ]);
  gauge(metrics.registry, 'cdn_model_refused', 'refused', () => [[{ model: 'ranker', version: '3' }, 1]]);
  await reporter.report(0);
  const all = documents();
  expect(all.filter((document) => 'Model' in document)).toMatchObject([
    { Model: 'ranker', Version: '2', Environment: 'prod', Region: 'eu-west-1', LiveTasks: 1 },
  ]);
  expect(ofRegion(all)).toMatchObject({ ModelsRefused: 1 });
});

describe('by the clock', () => {
  beforeEach(() => jest.useFakeTimers({ now: Date.parse('2026-01-01T00:00:10Z') }));
  afterEach(() => jest.useRealTimers());

  test('reports stand in the middle of each minute, and what remains is told at the stop', async () => {
    const { settings, documents, metrics } = setUp();
    const reports = startCloudWatchReports(settings, quiet);
    await jest.advanceTimersByTimeAsync(60_000);
    metrics.observe({ status: 200, level: 'none', seconds: 0.001, bytes: 0 });
    await jest.advanceTimersByTimeAsync(60_000);
    const times = documents()
      .filter((document) => 'Requests' in document)
      .map(({ _aws, Requests }) => [new Date(_aws.Timestamp).toISOString(), Requests]);
    expect(times).toEqual([
      ['2026-01-01T00:00:30.000Z', 0],
      ['2026-01-01T00:01:30.000Z', 1],
    ]);
    metrics.observe({ status: 200, level: 'none', seconds: 0.001, bytes: 0 });
    await reports.stop();
    expect(ofRegion(documents())).toMatchObject({ Requests: 1 });
    await jest.advanceTimersByTimeAsync(300_000);
    expect(documents()).toEqual([]);
  });

  test('a report that fails is logged, and its numbers are in the next', async () => {
    const warnings: unknown[] = [];
    let broken = true;
    const { settings, documents, metrics } = setUp({
      stats: () => {
        if (broken) throw new Error('no statistics');
        return statsOf();
      },
    });
    metrics.observe({ status: 200, level: 'none', seconds: 0.001, bytes: 0 });
    const reports = startCloudWatchReports(settings, {
      ...quiet,
      warn: (fields: unknown) => void warnings.push(fields),
    });
    await jest.advanceTimersByTimeAsync(20_000);
    expect(warnings).toEqual([{ reason: 'no statistics' }]);
    broken = false;
    await jest.advanceTimersByTimeAsync(60_000);
    expect(ofRegion(documents())).toMatchObject({ Requests: 1 });
    await reports.stop();
  });
});

test('a task of a named deployment reports its requests and errors once more, under that name', async () => {
  const { settings, metrics, documents } = setUp();
  const reporter = new EmfReporter({ ...settings, deployment: 'canary' });
  metrics.observe({ status: 200, level: 'memory', seconds: 0.001, bytes: 10 });
  metrics.observe({ status: 500, level: 'none', seconds: 0.001, bytes: 10 });
  await reporter.report(1_700_000_000_000);
  const first = documents();
  const own = first.filter((document) => 'Deployment' in document);
  expect(own).toHaveLength(1);
  expect(own[0]).toMatchObject({ Environment: 'prod', Region: 'eu-west-1', Deployment: 'canary' });
  expect(own[0]).toMatchObject({ Requests: 2, ServerErrors: 1 });
  const [directive] = own[0]?._aws.CloudWatchMetrics ?? [];
  expect(directive?.Dimensions).toEqual([['Environment', 'Region', 'Deployment']]);
  expect(directive?.Metrics.map(({ Name }) => Name)).toEqual(['Requests', 'ServerErrors']);
  expect(first.find((document) => !('Deployment' in document || 'Tier' in document))).toMatchObject({ Requests: 2 });

  await reporter.report(1_700_000_060_000);
  expect(documents().find((document) => 'Deployment' in document)).toMatchObject({ Requests: 0, ServerErrors: 0 });
});

test('a task of no named deployment reports under none', async () => {
  const { reporter, documents } = setUp();
  await reporter.report(1_700_000_000_000);
  expect(documents().filter((document) => 'Deployment' in document)).toEqual([]);
});
