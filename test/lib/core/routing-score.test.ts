import fc from 'fast-check';
import { distanceKm } from '../../../lib/core/geo';
import { AWS_REGIONS, type RegionCode } from '../../../lib/core/regions';
import {
  distanceScore,
  loadScore,
  type RoutableRegion,
  rankRegions,
  regionScore,
  viewerMargin,
} from '../../../lib/core/routing-score';

const CODES = Object.keys(AWS_REGIONS) as RegionCode[];
const share = fc.double({ min: 0, max: 1, noNaN: true });
const viewer = fc.record({
  lat: fc.double({ min: -90, max: 90, noNaN: true }),
  lon: fc.double({ min: -180, max: 180, noNaN: true }),
});
const margin = fc.double({ min: 0, max: 0.2, noNaN: true });
const state = fc.constantFrom('healthy', 'unhealthy', 'drained', 'unknown');
const regions = (states: fc.Arbitrary<RoutableRegion['state']>) =>
  fc.uniqueArray(fc.constantFrom(...CODES), { minLength: 1, maxLength: 12 }).chain((codes) =>
    fc.tuple(
      ...codes.map((region) =>
        fc.record({
          region: fc.constant(region),
          place: fc.constant(AWS_REGIONS[region]),
          state: states,
          load: share,
          hitRate: share,
        }),
      ),
    ),
  ) as fc.Arbitrary<RoutableRegion[]>;

const near = (region: RegionCode, fields: Partial<RoutableRegion> = {}): RoutableRegion => ({
  region,
  place: AWS_REGIONS[region],
  state: 'healthy',
  load: 0.5,
  hitRate: 0.5,
  ...fields,
});

test.each([
  [0, 1],
  [1000, 0.5],
  [3000, 0.25],
])('the distance score at %d km is %d', (km, score) => {
  expect(distanceScore(km)).toBeCloseTo(score, 12);
});

test.each([
  [0, 1],
  [0.25, 0.75],
  [1, 0],
  [7, 0],
])('the load score of load %d is %d', (load, score) => {
  expect(loadScore(load)).toBeCloseTo(score, 12);
});

test('the score weighs distance, load and hit rate by 0.5, 0.3 and 0.2', () => {
  const candidate = near('eu-west-1', { load: 0.4, hitRate: 0.9 });
  const paris = { lat: 48.85, lon: 2.35 };
  const expected = 0.5 / (1 + distanceKm(paris, AWS_REGIONS['eu-west-1']) / 1000) + 0.3 * 0.6 + 0.2 * 0.9;
  expect(regionScore(candidate, paris)).toBeCloseTo(expected, 12);
});

describe('ranking', () => {
  test('names every healthy region once and no other, or nothing', () => {
    fc.assert(
      fc.property(regions(state), viewer, margin, (candidates, from, lead) => {
        const ranked = rankRegions(candidates, from, lead);
        const healthy = candidates.filter((row) => row.state === 'healthy').map((row) => row.region);
        expect([...ranked].sort()).toEqual(ranked.length === 0 ? [] : healthy.sort());
      }),
    );
  });

  test('decides whenever a region is healthy and none is unknown', () => {
    fc.assert(
      fc.property(
        regions(fc.constantFrom('healthy', 'unhealthy', 'drained')),
        viewer,
        margin,
        (candidates, from, lead) => {
          const anyHealthy = candidates.some((row) => row.state === 'healthy');
          expect(rankRegions(candidates, from, lead).length > 0).toBe(anyHealthy);
        },
      ),
    );
  });

  test('does not depend on the order of the regions, nor on regions that do not serve', () => {
    fc.assert(
      fc.property(
        regions(fc.constantFrom('healthy', 'unhealthy', 'drained')),
        viewer,
        margin,
        (candidates, from, lead) => {
          const serving = candidates.filter((row) => row.state === 'healthy');
          expect(rankRegions([...candidates].reverse(), from, lead)).toEqual(rankRegions(serving, from, lead));
        },
      ),
    );
  });

  test('leaves the nearest region only for one whose score is better by more than the margin', () => {
    fc.assert(
      fc.property(regions(fc.constant('healthy')), viewer, margin, (candidates, from, lead) => {
        const [first] = rankRegions(candidates, from, lead);
        const chosen = candidates.find((row) => row.region === first);
        const least = Math.min(...candidates.map((row) => distanceKm(from, row.place)));
        const nearest = candidates.find((row) => distanceKm(from, row.place) === least);
        if (!chosen || !nearest) throw new Error('nothing was chosen');
        const gain = regionScore(chosen, from) - regionScore(nearest, from);
        const best = Math.max(...candidates.map((row) => regionScore(row, from))) - regionScore(nearest, from);
        if (chosen === nearest) expect(best).toBeLessThanOrEqual(lead + 1e-12);
        else expect(gain).toBeGreaterThanOrEqual(lead - 1e-12);
      }),
    );
  });

  test('more load of the chosen region, or less of another, never brings the chosen one a viewer', () => {
    fc.assert(
      fc.property(regions(fc.constant('healthy')), viewer, margin, share, (candidates, from, lead, load) => {
        const [target] = candidates;
        if (!target) return;
        const busier = candidates.map((row) => (row === target ? { ...row, load: Math.max(row.load, load) } : row));
        const before = rankRegions(candidates, from, lead).indexOf(target.region);
        expect(rankRegions(busier, from, lead).indexOf(target.region)).toBeGreaterThanOrEqual(before);
      }),
    );
  });

  test('is left to latency routing when the nearest region is unknown, and only then', () => {
    const frankfurt = AWS_REGIONS['eu-central-1'];
    const far = near('ap-northeast-1', { state: 'unknown' });
    const close = near('eu-west-1');
    expect(rankRegions([close, far], frankfurt, 0)).toEqual(['eu-west-1']);
    expect(
      rankRegions(
        [
          { ...close, state: 'unknown' },
          { ...far, state: 'healthy' },
        ],
        frankfurt,
        0,
      ),
    ).toEqual([]);
  });
});

describe("a viewer's margin", () => {
  test('lies between 0.03 and 0.1 and is always the same', () => {
    fc.assert(
      fc.property(fc.string(), (id) => {
        expect(viewerMargin(id)).toBe(viewerMargin(id));
        expect(viewerMargin(id)).toBeGreaterThanOrEqual(0.03);
        expect(viewerMargin(id)).toBeLessThanOrEqual(0.1);
      }),
    );
  });

  test('spreads the addresses of one network evenly', () => {
    const tenths = new Array<number>(10).fill(0);
    for (let third = 0; third < 16; third++) {
      for (let last = 0; last < 256; last++) {
        const slot = Math.floor(((viewerMargin(`203.0.${third}.${last}`) - 0.03) / 0.07) * 10);
        tenths[slot] = (tenths[slot] ?? 0) + 1;
      }
    }
    for (const count of tenths) {
      expect(count).toBeGreaterThan(4096 / 10 / 1.5);
      expect(count).toBeLessThan((4096 / 10) * 1.5);
    }
  });
});
