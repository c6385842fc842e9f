import fc from 'fast-check';
import { AWS_REGIONS } from '../../../lib/core/regions';
import {
  decodeRoutingTable,
  encodeRoutingTable,
  isCurrent,
  ROUTING_TABLE_MAX_AGE_SECONDS,
  type RoutingTable,
} from '../../../lib/core/routing-table';

const CODES = Object.keys(AWS_REGIONS);
const percent = fc.integer({ min: 0, max: 100 }).map((value) => value / 100);
const row = fc.oneof(
  fc.record({
    region: fc.constantFrom(...CODES),
    state: fc.constant('healthy' as const),
    load: percent,
    hitRate: percent,
  }),
  fc.record({
    region: fc.constantFrom(...CODES),
    state: fc.constantFrom('unhealthy' as const, 'drained' as const, 'unknown' as const),
    load: fc.constant(0),
    hitRate: fc.constant(0),
  }),
);
const table: fc.Arbitrary<RoutingTable> = fc.record({
  measuredAt: fc.integer({ min: 0, max: 4_000_000_000 }),
  regions: fc.uniqueArray(row, { selector: ({ region }) => region }),
});

test('what is written is read again', () => {
  fc.assert(fc.property(table, (written) => expect(decodeRoutingTable(encodeRoutingTable(written))).toEqual(written)));
});

test('every region of AWS fits into a value of the KeyValueStore', () => {
  const full = CODES.map((region) => ({ region, state: 'healthy' as const, load: 1, hitRate: 1 }));
  const bytes = Buffer.byteLength(encodeRoutingTable({ measuredAt: 4_000_000_000, regions: full }));
  expect(bytes).toBeLessThanOrEqual(1024);
});

test('numbers beyond their range are written as its ends', () => {
  const region = 'eu-west-1';
  const text = encodeRoutingTable({ measuredAt: 1, regions: [{ region, state: 'healthy', load: 3, hitRate: -1 }] });
  expect(text).toBe('1 eu-west-1h100,0');
});

test.each([
  '',
  'x',
  '{}',
  '1 eu-west-1',
  '1 eu-west-1q',
  '1 eu-west-1h',
  '1 eu-west-1d5,5',
  '1 eu-west-1h5,',
  '1  eu-west-1d',
  '-1',
])('reads no table in %j', (text) => {
  expect(decodeRoutingTable(text)).toBeUndefined();
});

test('is current for five minutes either way', () => {
  const written = { measuredAt: 1_000_000, regions: [] };
  const age = ROUTING_TABLE_MAX_AGE_SECONDS;
  expect([-age - 1, -age, age, age + 1].map((later) => isCurrent(written, 1_000_000 + later))).toEqual([
    false,
    true,
    true,
    false,
  ]);
});
