import { AWS_REGIONS } from '../../../lib/core/regions';
import { regionDistances } from '../../../local/engine/distances';
import { loadPops, nearest } from '../../../local/geo/pops';
import { type Geo, openGeo } from '../../../local/geo/viewer-places';
import { popToRegionMs, regionsByDistance, viewerToPopMs } from '../../../local/geo/wide-area';

let geo: Geo;
beforeAll(async () => {
  geo = await openGeo({ homeRegion: 'eu-west-1' });
});

test.each([
  ['8.8.8.8', 'US'],
  ['193.0.0.1', 'NL'],
  ['::ffff:193.0.0.1', 'NL'],
  ['2001:4860:4860::8888', 'US'],
])('%s is in %s', (ip, country) => {
  expect(geo.locate(ip).countryCode).toBe(country);
});

test.each(['127.0.0.1', '::1', '10.1.2.3', '::ffff:192.168.0.1'])('%s stands in the city of the home region', (ip) => {
  expect(geo.locate(ip)).toEqual({
    city: AWS_REGIONS['eu-west-1'].city,
    lat: AWS_REGIONS['eu-west-1'].lat,
    lon: AWS_REGIONS['eu-west-1'].lon,
    countryCode: undefined,
  });
});

test('an unknown home region is refused', async () => {
  await expect(openGeo({ homeRegion: 'eu-west-9' })).rejects.toThrow('"eu-west-9" is not a commercial AWS region');
});

test('POPs have distinct codes, places on Earth, and none is in mainland China', () => {
  const pops = loadPops();
  expect(pops.length).toBeGreaterThan(100);
  expect(new Set(pops.map(({ code }) => code)).size).toBe(pops.length);
  expect(pops.every(({ lat, lon }) => Math.abs(lat) <= 90 && Math.abs(lon) <= 180)).toBe(true);
  expect(pops.map(({ code }) => code)).not.toEqual(expect.arrayContaining(['PEK']));
});

test('the nearest POP of a city that has one is its own', () => {
  const tokyo = { lat: 35.69, lon: 139.69 };
  expect(geo.nearestPop(tokyo)).toMatchObject({ city: 'Tokyo', nearestRegion: 'ap-northeast-1' });
  expect(() => nearest(tokyo, [])).toThrow('no place');
});

test('round trips grow with distance and never beat light in fibre', () => {
  const frankfurt = geo.nearestPop(AWS_REGIONS['eu-central-1']);
  const order = regionsByDistance(frankfurt, ['ap-southeast-2', 'us-east-1', 'eu-central-1'], regionDistances);
  expect(order).toEqual(['eu-central-1', 'us-east-1', 'ap-southeast-2']);
  // Frankfurt to Ashburn is 6,600 km: 66 ms there and back in a straight fibre.
  expect(popToRegionMs(frankfurt, 'us-east-1', regionDistances)).toBeGreaterThan(66);
  expect(popToRegionMs(frankfurt, 'us-east-1', regionDistances)).toBeLessThan(150);
  expect(viewerToPopMs(frankfurt, frankfurt)).toBe(8);
  expect(() => popToRegionMs({ ...frankfurt, nearestRegion: 'x' }, 'us-east-1', regionDistances)).toThrow('"x"');
});
