import fc from 'fast-check';
import { CostModel } from '../../../../../containers/edge/inference/execution/cost-model';

function learned(runs: readonly (readonly [elements: number, ms: number])[]): CostModel {
  const cost = new CostModel();
  for (const [elements, ms] of runs) cost.observe(elements, ms);
  return cost;
}

describe('the cost of a run by the size of its input', () => {
  it('is nothing before a run has been seen', () => {
    const cost = new CostModel();
    expect(cost.isKnown).toBe(false);
    expect(cost.predictMs(1_000)).toBe(0);
    expect(cost.elementsWithin(10)).toBe(Number.POSITIVE_INFINITY);
  });

  it('is the line through the runs', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 10, noNaN: true }),
        fc.double({ min: 0.0001, max: 1, noNaN: true }),
        fc.array(fc.integer({ min: 1, max: 128 }), { minLength: 20, maxLength: 200 }),
        (fixed, slope, sizes) => {
          // Sizes from one end of the range to the other, so that there is a line to be found.
          const cost = learned([...sizes, 1, 128, 1, 128, 64].map((n) => [n, fixed + slope * n]));
          for (const n of [1, 64, 128]) {
            const right = fixed + slope * n;
            expect(Math.abs(cost.predictMs(n) - right)).toBeLessThan(0.1 * (fixed + 64 * slope));
          }
        },
      ),
    );
  });

  it('takes half of the time for fixed while all runs have one size, so that a larger batch is tried', () => {
    const cost = learned(Array.from({ length: 30 }, () => [100, 8]));
    expect(cost.predictMs(100)).toBeCloseTo(8);
    expect(cost.fixedMs).toBeCloseTo(4);
    expect(cost.elementsWithin(2 * cost.fixedMs)).toBeCloseTo(100);
    expect(cost.predictMs(200)).toBeCloseTo(12);
  });

  it('is hardly moved by one pause of the process', () => {
    const cost = learned(Array.from({ length: 40 }, (_, i) => [i % 2 === 0 ? 1 : 10, i % 2 === 0 ? 1.1 : 2]));
    cost.observe(1, 2_000);
    expect(cost.predictMs(1)).toBeLessThan(1.6);
  });

  it('follows a model that has become slower', () => {
    const cost = learned(Array.from({ length: 100 }, (_, i) => [1 + (i % 8), 1 + (i % 8)]));
    for (let i = 0; i < 300; i += 1) cost.observe(1 + (i % 8), 30 * (1 + (i % 8)));
    expect(cost.predictMs(8)).toBeGreaterThan(200);
    expect(cost.predictMs(8)).toBeLessThan(260);
  });

  it('never has a negative part, whatever the runs were', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 1e6 }), fc.double({ min: 0, max: 1e4, noNaN: true })), {
          minLength: 1,
          maxLength: 100,
        }),
        (runs) => {
          const cost = learned(runs);
          expect(cost.fixedMs).toBeGreaterThanOrEqual(0);
          expect(cost.marginalMs(1)).toBeGreaterThanOrEqual(0);
          expect(cost.predictMs(7)).toBeGreaterThanOrEqual(0);
          expect(cost.elementsWithin(5)).toBeGreaterThanOrEqual(0);
        },
      ),
    );
  });
});
