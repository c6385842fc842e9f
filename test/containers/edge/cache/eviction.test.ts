import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import { entryOf } from './fixtures';

const TRACES = join(__dirname, '../../../../../shared/traces');
/** libCacheSim's figures depend on its own defaults, ours on no admission of what is larger than the store. */
const TOLERANCE = 0.02;

interface Expected {
  readonly lru: { readonly objects: readonly Figure[] };
  readonly others_objects: { readonly sieve: readonly Figure[] };
}
interface Figure {
  readonly capacity_objects: number;
  readonly miss_ratio: number;
}

const unit = entryOf('');
/** Keys of one length, so that a capacity in bytes is one in entries. */
const keyOf = (id: number | string) => String(id).padStart(9, '0');
const BYTES_OF_ONE = (() => {
  const store = createMemoryStore(1_000_000);
  store.set({ ...unit, key: keyOf(0) });
  return store.usage().bytes;
})();

function sieveMissRatio(requests: readonly string[], capacity: number): number {
  const store = createMemoryStore(capacity * BYTES_OF_ONE);
  let misses = 0;
  for (const key of requests) {
    if (store.get(key)) continue;
    misses += 1;
    store.set({ ...unit, key });
  }
  expect(store.usage().entries).toBeLessThanOrEqual(capacity);
  return misses / requests.length;
}

function lruMissRatio(requests: readonly string[], capacity: number): number {
  const held = new Set<string>();
  let misses = 0;
  for (const key of requests) {
    if (!held.delete(key)) misses += 1;
    held.add(key);
    if (held.size > capacity) for (const oldest of held) if (held.delete(oldest)) break;
  }
  return misses / requests.length;
}

/** Keys by Zipf's law with exponent 1, from a seeded generator (mulberry32). */
function zipfRequests(keys: number, count: number, seed: number): string[] {
  let state = seed;
  const random = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  // The inverse of the continuous distribution is near enough, and needs no table.
  return Array.from({ length: count }, () => keyOf(Math.floor(Math.exp(random() * Math.log(keys + 1)))));
}

describe('eviction from memory', () => {
  it('keeps more of what Zipf requests ask for than LRU, and more still when a fifth is asked for once', () => {
    const requests = zipfRequests(20_000, 200_000, 7);
    const gain = lruMissRatio(requests, 1_000) - sieveMissRatio(requests, 1_000);
    expect(gain).toBeGreaterThan(0.02);
    const withScan = requests.flatMap((key, i) => (i % 4 === 0 ? [key, `s${keyOf(i).slice(1)}`] : [key]));
    const gainUnderScan = lruMissRatio(withScan, 1_000) - sieveMissRatio(withScan, 1_000);
    expect(gainUnderScan).toBeGreaterThan(gain);
  });

  const present = existsSync(TRACES);
  if (!present) it.todo(`holds the figures of real traces (none here: ${TRACES} is absent)`);
  // Prompt prefixes come back soon or never, which suits LRU (by up to 0.08 at 10,000 entries); pages come back.
  const traces = [
    { trace: 'nasa-19950801', capacities: [10, 50, 200, 1_000], beatsLru: true },
    { trace: 'mooncake-conversation', capacities: [1_000, 10_000, 50_000], beatsLru: false },
  ];
  for (const { trace, capacities, beatsLru } of present ? traces : []) {
    const text = gunzipSync(readFileSync(join(TRACES, `${trace}.csv.gz`))).toString();
    const requests = text
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => keyOf(line.split(',')[1] ?? ''));
    const expected: Expected = JSON.parse(readFileSync(join(TRACES, `${trace}.expected.json`), 'utf8'));
    const lru = new Map(expected.lru.objects.map((each) => [each.capacity_objects, each.miss_ratio]));
    const sieve = expected.others_objects.sieve.filter((each) => capacities.includes(each.capacity_objects));
    it.each(sieve.map((each) => [each.capacity_objects, each.miss_ratio] as const))(
      `misses on ${trace} with room for %d entries about as often as the reference: %d`,
      (capacity, missRatio) => {
        const ours = sieveMissRatio(requests, capacity);
        expect(Math.abs(ours - missRatio)).toBeLessThan(TOLERANCE);
        if (beatsLru) expect(ours).toBeLessThan(lru.get(capacity) ?? 0);
      },
    );
  }
});
