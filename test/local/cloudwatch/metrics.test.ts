import { takeEmbeddedMetrics } from '../../../local/cloudwatch/embedded-metrics';
import { type MetricId, MetricStore } from '../../../local/cloudwatch/metric-store';

const MINUTE = 60_000;
const id: MetricId = { region: 'eu-west-1', namespace: 'app', name: 'Latency', dimensions: { A: '1', B: '2' } };

describe('the store', () => {
  test('gives statistics over whole minutes, whatever the order of dimensions', () => {
    const store = new MetricStore();
    store.watch(id, 'p50', 60 * MINUTE);
    store.put({ ...id, dimensions: { B: '2', A: '1' } }, { values: [10, 20], counts: [3, 1] }, 5 * MINUTE);
    store.put(id, { values: [40], counts: [1] }, 6 * MINUTE + 59_999);
    const over = (statistic: string, from = 5, to = 7) => store.statistic(id, statistic, from * MINUTE, to * MINUTE);
    expect(['Sum', 'SampleCount', 'Average', 'Minimum', 'Maximum'].map((statistic) => over(statistic))).toEqual([
      90, 5, 18, 10, 40,
    ]);
    expect([over('p50'), over('p60'), over('p80'), over('p100')]).toEqual([10, 10, 20, 40]);
    expect([over('Sum', 6, 7), over('Sum', 7, 9)]).toEqual([40, undefined]);
    expect(() => over('TM(10%:90%)')).toThrow('statistic TM(10%:90%) is not run here');
  });

  test('keeps what is watched only, and no longer than asked', () => {
    const store = new MetricStore();
    const other = { ...id, name: 'Other' };
    store.watch(id, 'Sum', 2 * MINUTE);
    for (const minute of [0, 1, 2, 3]) {
      for (const metric of [id, other]) store.put(metric, { values: [1], counts: [1] }, minute * MINUTE);
    }
    store.watch(other, 'Sum', 10 * MINUTE);
    expect(store.statistic(id, 'SampleCount', 0, 10 * MINUTE)).toBe(3);
    expect(store.statistic(other, 'SampleCount', 0, 10 * MINUTE)).toBeUndefined();
  });
});

describe('lines in the embedded metric format', () => {
  const line = (members: object, metrics: object[] = [{ Name: 'Latency', Unit: 'Milliseconds' }]) =>
    JSON.stringify({
      _aws: {
        Timestamp: 30_000,
        CloudWatchMetrics: [{ Namespace: 'app', Dimensions: [['A', 'B']], Metrics: metrics }],
      },
      ...{ A: '1', B: '2' },
      ...members,
    });
  const taken = (...lines: string[]) => {
    const store = new MetricStore();
    store.watch(id, 'Sum', MINUTE);
    const wrong = lines.map((text) => takeEmbeddedMetrics(store, 'eu-west-1', text));
    const read = (statistic: string) => store.statistic(id, statistic, 0, MINUTE);
    return { wrong, sum: read('Sum'), count: read('SampleCount') };
  };

  test('become metrics: numbers, lists and distributions; other lines do not', () => {
    const distribution = { Values: [1, 2], Counts: [2, 3], Min: 1, Max: 2, Sum: 8, Count: 5 };
    const lines = [line({ Latency: 5 }), line({ Latency: [1, 2] }), line({ Latency: distribution })];
    expect(taken(...lines, 'a "_aws" by the way', '{"msg":"_aws"}')).toEqual({
      wrong: [undefined, undefined, undefined, undefined, undefined],
      sum: 16,
      count: 8,
    });
  });

  test('that are not what they say are named', () => {
    expect(taken(line({}), line({ Latency: 1, B: 2 }), line({ Latency: 1 }, [{}])).wrong).toEqual([
      'metric Latency has no number in the line, and no distribution of numbers',
      'dimension B of metric Latency has no text in the line',
      expect.stringContaining('Name'),
    ]);
  });
});
