import fc from 'fast-check';
import {
  governingDirectives,
  parseCacheControl,
  qualifiedFields,
  requestDirectives,
  seconds,
} from '../../../../containers/edge/http-cache/cache-control';

const parsed = (...lines: string[]) => Object.fromEntries(parseCacheControl(lines));
const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,11}$/);

describe('Cache-Control', () => {
  it.each([
    ['max-age=60, public', { 'max-age': '60', public: true }],
    ['MAX-AGE=60', { 'max-age': '60' }],
    ['max-age="60"', { 'max-age': '60' }],
    ['\tmax-age=60 ,,\tno-cache ', { 'max-age': '60', 'no-cache': true }],
    ['a="x, no-store", max-age=1', { a: 'x, no-store', 'max-age': '1' }],
    ['a="x\\", no-store", max-age=1', { a: 'x", no-store', 'max-age': '1' }],
    ['max-age=60, max-age=10', { 'max-age': '60' }],
    ['max-age = 60, public', { public: true }],
    ['a="never closed, no-store', {}],
    ['', {}],
  ])('%s is read', (field, expected) => {
    expect(parsed(field)).toEqual(expected);
  });

  it('may come in several lines', () => {
    expect(parsed('max-age=60', 'public')).toEqual({ 'max-age': '60', public: true });
  });

  it.each(['private', 'no-cache'])('%s without fields counts beside one with fields, in either order', (name) => {
    expect(parsed(`${name}="a", ${name}`)).toEqual({ [name]: true });
    expect(parsed(`${name}, ${name}="a"`)).toEqual({ [name]: true });
    expect(qualifiedFields(parseCacheControl([`${name}="a"`, `${name}="b, c"`]), name)).toEqual(['a', 'b', 'c']);
  });

  it('gives back what was written, quoted or not', () => {
    const argument = fc.oneof(
      fc.constant(true as const),
      fc.stringMatching(/^[a-z0-9]{1,8}$/),
      fc.string({ unit: fc.constantFrom(...'ab ,=;"\\') }),
    );
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(token, argument), { selector: ([name]) => name }), (directives) => {
        const written = directives.map(([name, value]) =>
          value === true ? name : `${name}="${value.replace(/["\\]/g, '\\$&')}"`,
        );
        expect([...parseCacheControl([written.join(', ')])]).toEqual(directives);
      }),
    );
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'a=", \\1;') }), (field) => {
        parseCacheControl([field]);
        governingDirectives({ 'cache-control': field, 'cdn-cache-control': field });
      }),
    );
  });
});

describe('a number of seconds', () => {
  it.each([
    ['max-age=0', 0],
    ['max-age=3600', 3600],
    ['max-age=007', 7],
    ['max-age=99999999999999999999', 2_147_483_648],
    ['max-age', 0],
    ['max-age=', 0],
    ['max-age=-1', 0],
    ['max-age=1.5', 0],
    ['max-age=1e3', 0],
    ['max-age=60s', 0],
    ['public', undefined],
  ])('of %s is %s', (field, expected) => {
    expect(seconds(parseCacheControl([field]), 'max-age')).toBe(expected);
  });
});

describe('the directives of a request', () => {
  it('are those of Cache-Control, else Pragma: no-cache', () => {
    expect([...requestDirectives({ pragma: 'x, No-Cache' })]).toEqual([['no-cache', true]]);
    expect([...requestDirectives({ pragma: 'no-cache', 'cache-control': 'max-age=1' })]).toEqual([['max-age', '1']]);
    expect([...requestDirectives({ pragma: 'no-store' })]).toEqual([]);
    expect([...requestDirectives({})]).toEqual([]);
  });
});

describe('CDN-Cache-Control', () => {
  const governing = (field: string | string[]) => {
    const { directives, targeted } = governingDirectives({ 'cdn-cache-control': field, 'cache-control': 'no-store' });
    return { ...Object.fromEntries(directives), targeted };
  };
  const byCacheControl = { 'no-store': true, targeted: false };

  it.each([
    ['max-age=60', { 'max-age': '60', targeted: true }],
    ['max-age=60, no-cache', { 'max-age': '60', 'no-cache': true, targeted: true }],
    ['max-age=60, max-age=10', { 'max-age': '10', targeted: true }],
    ['max-age=60;unknown=1', { 'max-age': '60', targeted: true }],
    ['private="a, b"', { private: 'a, b', targeted: true }],
    ['max-age="60", no-cache', { 'no-cache': true, targeted: true }],
    ['max-age=1.5, public', { public: true, targeted: true }],
    ['no-store=?0, public', { public: true, targeted: true }],
  ])('%s governs', (field, expected) => {
    expect(governing(field)).toEqual(expected);
  });

  it('of several lines is one dictionary', () => {
    expect(governing(['max-age=60', 'public'])).toEqual({ 'max-age': '60', public: true, targeted: true });
  });

  it.each(['', 'max-age', '&&&', 'max-age=60, ,', 'MAX-AGE=60', 'max-age=60 public'])(
    '%j is ignored whole: it is empty or not well formed',
    (field) => {
      expect(governing(field)).toEqual(byCacheControl);
    },
  );
});
