import fc from 'fast-check';
import { variantOf, varyNames } from '../../../../containers/edge/http-cache/vary';

const variant = (name: string, value: string | string[] | undefined) =>
  variantOf([name], value === undefined ? {} : { [name]: value });

it('Vary names fields once each, in one order, whatever its spelling', () => {
  expect(varyNames({ vary: ['Accept , foo', 'FOO, accept-language'] })).toEqual(['accept', 'accept-language', 'foo']);
  expect(varyNames({ vary: 'accept-language,foo,accept' })).toEqual(['accept', 'accept-language', 'foo']);
  expect(varyNames({ vary: '' })).toEqual([]);
  expect(varyNames({})).toEqual([]);
});

describe('requests share a variant', () => {
  it.each<[string, string, string | string[], string | string[]]>([
    ['spacing', 'foo', 'a,b', ' a , b '],
    ['the number of lines', 'foo', 'a, b', ['a', 'b']],
    ['the order of languages', 'accept-language', 'en, de', 'de, en'],
    ['a weight of 1', 'accept-language', 'en;q=1.0, de', 'de, en'],
    ['how a weight is written', 'accept-language', 'en; Q=0.50', 'en;q=.5'],
    ['letter case of languages', 'accept-language', 'EN-us', 'en-US'],
    ['the order of encodings', 'accept-encoding', 'gzip, br', 'br,gzip'],
    ['fields that do not select', 'foo', 'a', 'a'],
  ])('but for %s', (_what, name, one, other) => {
    expect(variantOf([name], { [name]: one, 'x-other': '1' })).toBe(
      variantOf([name], { [name]: other, 'x-other': '2' }),
    );
  });

  it.each<[string, string, string | undefined, string | undefined]>([
    ['the values', 'foo', 'a', 'b'],
    ['order, where it may matter', 'foo', 'a, b', 'b, a'],
    ['letter case, where it may matter', 'foo', 'a', 'A'],
    ['presence', 'foo', undefined, ''],
    ['presence of a value called absent', 'foo', undefined, 'absent'],
    ['weights', 'accept-language', 'en, de;q=0.5', 'de, en;q=0.5'],
    ['a language that is refused', 'accept-language', 'en, de;q=0', 'en'],
  ])('not when they differ in %s', (_what, name, one, other) => {
    expect(variant(name, one)).not.toBe(variant(name, other));
  });

  it('not when what one field has is in another', () => {
    const names = ['a', 'b'];
    expect(variantOf(names, { a: 'x' })).not.toBe(variantOf(names, { b: 'x' }));
    expect(variantOf(names, { a: 'x', b: 'y' })).not.toBe(variantOf(names, { a: 'y', b: 'x' }));
  });

  it('whose weighted languages are the same set, in any order and spelling', () => {
    const language = fc.tuple(fc.constantFrom('en', 'en-us', 'de', 'fr', 'nl', '*'), fc.integer({ min: 0, max: 1000 }));
    const languages = fc.uniqueArray(language, { selector: ([range]) => range, minLength: 1 });
    const shuffled = languages.chain((set) =>
      fc.tuple(fc.constant(set), fc.shuffledSubarray(set, { minLength: set.length, maxLength: set.length })),
    );
    const plain = ([range, weight]: [string, number]) => `${range};q=${weight / 1000}`;
    const spaced = ([range, weight]: [string, number]) => `\t${range.toUpperCase()} ; q=${(weight / 1000).toFixed(3)} `;
    fc.assert(
      fc.property(shuffled, ([set, inOtherOrder]) => {
        const value = set.map(plain).join(',');
        expect(variant('accept-language', value)).toBe(variant('accept-language', inOtherOrder.map(spaced).join(',,')));
      }),
    );
    fc.assert(
      fc.property(languages, languages, (one, other) => {
        const asSet = (set: [string, number][]) => JSON.stringify([...set].sort());
        fc.pre(asSet(one) !== asSet(other));
        expect(variant('accept-language', one.map(plain).join())).not.toBe(
          variant('accept-language', other.map(plain).join()),
        );
      }),
    );
  });

  it('whatever malformed weights they have, if they are the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab;q=0.,- ') }), (value) => {
        expect(variant('accept-language', value)).toBe(variant('accept-language', ` ${value} `));
      }),
    );
  });
});
