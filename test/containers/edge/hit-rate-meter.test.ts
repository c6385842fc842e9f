import { HitRateMeter } from '../../../containers/edge/hit-rate-meter';

const counters = (memory: number, l1: number, l2: number, misses: number) => ({ hits: { memory, l1, l2 }, misses });

test('is 0 before the first look-up', () => {
  const meter = new HitRateMeter();
  meter.sample(counters(0, 0, 0, 0));
  expect(meter.rate).toBe(0);
});

test('counts hits of every tier', () => {
  const meter = new HitRateMeter();
  meter.sample(counters(3, 2, 1, 2));
  expect(meter.rate).toBeCloseTo(0.75, 12);
});

test('follows what happens now: after a minute, old look-ups count 1/e', () => {
  const meter = new HitRateMeter();
  meter.sample(counters(100, 0, 0, 0));
  for (let second = 0; second < 59; second++) meter.sample(counters(100, 0, 0, 0));
  expect(meter.rate).toBe(1);
  meter.sample(counters(100, 0, 0, 100));
  expect(meter.rate).toBeCloseTo(100 / Math.E / (100 / Math.E + 100), 6);
});
