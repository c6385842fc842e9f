import type { Random } from '../../models/random';

/** A whole number from `low` to `high`, both included. */
export function whole(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

/** One of some values. */
export function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)] as T;
}

/** Pieces that mean something to a JSON reader. */
const PIECES = [
  '"',
  '\\',
  '\\u0000',
  '\\ud800',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '1e999',
  '-',
  '9007199254740993',
  'null',
  '\0',
  '\xff',
];

/** The bytes with up to three places changed, cut, doubled, or written over with what means something in JSON. */
export function mutateBytes(random: Random, bytes: Buffer): Buffer {
  let mutated = bytes;
  for (let left = whole(random, 0, 3); left > 0; left -= 1) {
    const at = whole(random, 0, mutated.length);
    const [before, after] = [mutated.subarray(0, at), mutated.subarray(at)];
    const span = whole(random, 0, 8);
    mutated = pick(random, [
      () => Buffer.concat([before, after.subarray(span)]),
      () => Buffer.concat([before, Buffer.from([whole(random, 0, 255)]), after.subarray(1)]),
      () => Buffer.concat([before, Buffer.from(pick(random, PIECES), 'latin1'), after]),
      () => Buffer.concat([before, after.subarray(0, span), after]),
      () => before,
    ])();
  }
  return mutated;
}

/** A JSON value of any kind, arrays and objects up to `depth` levels. */
export function randomJson(random: Random, depth: number): unknown {
  const scalars = [
    null,
    true,
    0,
    -0.0,
    1,
    -1,
    0.1,
    1e308,
    2 ** 53,
    2 ** 63,
    '',
    'x',
    'NaN',
    '9223372036854775808',
    'a\0',
  ];
  if (depth === 0 || random() < 0.5) return pick(random, scalars);
  const values = Array.from({ length: whole(random, 0, 4) }, () => randomJson(random, depth - 1));
  if (random() < 0.5) return values;
  const names = ['name', 'data', 'shape', '__proto__', 'constructor', 'length'];
  return Object.fromEntries(values.map((value) => [pick(random, names), value]));
}

/** A JSON value of which one part, anywhere, has been replaced, taken out or doubled. */
export function mutateJson(random: Random, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || random() < 0.15) return randomJson(random, 3);
  if (Array.isArray(value)) {
    if (value.length === 0) return [randomJson(random, 2)];
    const at = whole(random, 0, value.length - 1);
    const others = random() < 0.1 ? [value[at], value[at]] : [mutateJson(random, value[at])];
    return [...value.slice(0, at), ...others, ...value.slice(at + 1)];
  }
  const entries = Object.entries(value);
  const at = whole(random, 0, Math.max(0, entries.length - 1));
  if (random() < 0.1) return Object.fromEntries(entries.filter((_, i) => i !== at));
  return Object.fromEntries(entries.map(([name, part], i) => [name, i === at ? mutateJson(random, part) : part]));
}
