import fc from 'fast-check';
import { LatencyHistogram } from '../../../containers/edge/latency-histogram';

function middleOf(seconds: number): number {
  const histogram = new LatencyHistogram();
  histogram.add(seconds);
  const bucket = histogram.counts().indexOf(1);
  return LatencyHistogram.middleSeconds(bucket);
}

test('a duration counts in a bucket whose middle is within 6.25 % of it', () => {
  fc.assert(
    fc.property(fc.double({ min: 2 ** -15, max: 100, noNaN: true }), (seconds) => {
      expect(Math.abs(middleOf(seconds) - seconds) / seconds).toBeLessThanOrEqual(1 / 16);
    }),
  );
});

test('longer durations never count in a lower bucket', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.double({ min: 0, max: 1e6, noNaN: true }), (a, b) => {
      const [shorter, longer] = a < b ? [a, b] : [b, a];
      expect(middleOf(shorter)).toBeLessThanOrEqual(middleOf(longer));
    }),
  );
});

test('what is out of range counts in the first or the last bucket', () => {
  const histogram = new LatencyHistogram();
  for (const seconds of [0, 1e-9, 1e-5, 1e9]) histogram.add(seconds);
  const counts = histogram.counts();
  expect(counts[0]).toBe(3);
  expect(counts[counts.length - 1]).toBe(1);
});

test('the percentiles of its buckets are those of the durations within 6.25 %', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 1e-4, max: 10, noNaN: true }), { minLength: 1, maxLength: 300 }), (all) => {
      const histogram = new LatencyHistogram();
      for (const seconds of all) histogram.add(seconds);
      const middles = [...histogram.counts()].flatMap((count, bucket) =>
        Array.from({ length: count }, () => LatencyHistogram.middleSeconds(bucket)),
      );
      const sorted = all.toSorted((a, b) => a - b);
      for (const rank of [0.5, 0.95, 0.99]) {
        const at = Math.min(sorted.length - 1, Math.ceil(rank * sorted.length) - 1);
        const exact = sorted[at] ?? Number.NaN;
        expect(Math.abs((middles[at] ?? Number.NaN) - exact) / exact).toBeLessThanOrEqual(1 / 16);
      }
    }),
  );
});
