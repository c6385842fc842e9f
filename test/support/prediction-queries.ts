import fc from 'fast-check';
import type { QueryValues } from '../../lib/core/canonical-query';

/** Escapes what a form-encoded value must, and at random what it need not. */
function escaped(text: string): fc.Arbitrary<string> {
  const characters = Array.from(text, (character) => {
    const all = `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
    if (character === '+') return fc.constantFrom('%2B', '%2b');
    if (character === ' ') return fc.constantFrom('+', '%20');
    return fc.oneof({ weight: 4, arbitrary: fc.constant(character) }, fc.constant(all));
  });
  return fc.tuple(...characters).map((parts) => parts.join(''));
}

/** Ways to write the decimal number that `String` gives for a double. */
export function spellingOf(value: number): fc.Arbitrary<string> {
  const plain = String(Math.abs(value));
  const spellings = [plain, plain.toUpperCase(), Math.abs(value).toExponential(), `00${plain}`];
  if (/^\d+$/.test(plain)) spellings.push(`${plain}.`, `${plain}.000`, `${plain}e0`, `${plain}0e-1`);
  if (/^0\.\d+$/.test(plain)) spellings.push(plain.slice(1), `${plain}00`);
  const signs = value < 0 ? ['-'] : value === 0 ? ['', '+', '-'] : ['', '+'];
  const space = fc.constantFrom('', '', ' ', '  ');
  return fc
    .tuple(space, fc.constantFrom(...signs), fc.constantFrom(...spellings), space)
    .map((parts) => parts.join(''))
    .chain(escaped);
}

/** Numbers of every magnitude, integers past 2^53 among them, and many small ones that repeat. */
export const finiteNumber = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -3, max: 3 }).map((value) => value / 2),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -0, 2 ** 53, 2 ** 53 + 2, 1e21, 1e22, 5e-324, Number.MAX_VALUE, 0.1 + 0.2),
);

/** A features parameter for these numbers, each spelt in one of its ways. */
export function featuresOf(row: readonly number[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(',', '%2C', '%2c'), ...row.map(spellingOf))
    .map(([comma, ...numbers]) => numbers.join(comma));
}

const feature = fc.oneof(
  { weight: 4, arbitrary: finiteNumber.chain(spellingOf) },
  fc.constantFrom('x', '', '0x10', 'Infinity', '1e999', 'NaN', '1_000', '%zz', '%', '1%00', '٣', '%d9%a3', '.', '1e'),
);
const features = fc.array(feature, { minLength: 1, maxLength: 4 }).map((items) => items.join(','));
const name = fc.constantFrom('ranker', 'r%61nker', 'other', '', 'no+name');
const version = fc.constantFrom('2', '%32', '10', '');

function once(value: fc.Arbitrary<string>): fc.Arbitrary<string[]> {
  return fc.oneof({ weight: 6, arbitrary: fc.tuple(value) }, fc.tuple(value, value));
}

/** Queries of `GET /predict` as they stand in a URL: right ones, wrong ones, and what does not belong there. */
export const predictionQuery: fc.Arbitrary<QueryValues> = fc
  .record(
    {
      features: once(features),
      model: once(name),
      version: once(version),
      utm_source: once(fc.constantFrom('a', 'b')),
    },
    { requiredKeys: [] },
  )
  .map((query) => ({ ...query }));
