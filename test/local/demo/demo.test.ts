import { hitRate, quantileMs } from '../../../local/demo/run-demo';
import { type Observation, zipfRequests } from '../../../local/demo/traffic';
import { VIEWERS } from '../../../local/demo/viewers';
import { openGeo } from '../../../local/geo/viewer-places';

const seen = (ms: number, tier = 'pop'): Observation => ({ ms, tier, region: 'eu-west-1', bytes: 100 });

test('each viewer stands in the city that the table names', async () => {
  const geo = await openGeo({ homeRegion: 'us-east-1' });
  for (const { ip, city, countryCode } of VIEWERS) expect(geo.locate(ip)).toMatchObject({ city, countryCode });
});

test('quantiles are nearest-rank, and hits are what was not computed', () => {
  const observations = [30, 10, 20, 40].map((ms, i) => seen(ms, i === 0 ? 'computed' : 'memory'));
  expect([0.5, 0.75, 0.99].map((q) => quantileMs(observations, q))).toEqual([20, 30, 40]);
  expect(hitRate(observations)).toBe(0.75);
});

test('traffic is reproducible, and popular rows come more often', () => {
  const rows = Array.from({ length: 20 }, (_, i) => [i]);
  const requests = zipfRequests(rows, 2_000, 5);
  expect(zipfRequests(rows, 2_000, 5)).toEqual(requests);
  const count = (row: number) => requests.filter(({ features }) => features[0] === row).length;
  expect(count(0)).toBeGreaterThan(2 * count(4));
  expect(count(19)).toBeGreaterThan(0);
});
