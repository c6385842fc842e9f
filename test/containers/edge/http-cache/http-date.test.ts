import fc from 'fast-check';
import { parseHttpDate } from '../../../../containers/edge/http-cache/http-date';

const FIRST = Date.parse('0001-01-01T00:00:00Z');
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59);
const aSecond = fc
  .integer({ min: FIRST / 1000, max: LAST / 1000 })
  .map((secondsSince1970) => new Date(secondsSince1970 * 1000));

describe('an HTTP-date', () => {
  it.each([
    ['IMF-fixdate', 'Sun, 06 Nov 1994 08:49:37 GMT'],
    ['RFC 850', 'Sunday, 06-Nov-94 08:49:37 GMT'],
    ['asctime', 'Sun Nov  6 08:49:37 1994'],
    ['IMF-fixdate in other letter case', 'sun, 06 NOV 1994 08:49:37 gmt'],
  ])('is read as %s', (_form, text) => {
    expect(parseHttpDate(text)).toBe(Date.UTC(1994, 10, 6, 8, 49, 37));
  });

  it('is what toUTCString writes', () => {
    fc.assert(
      fc.property(aSecond, (date) => {
        expect(parseHttpDate(date.toUTCString())).toBe(date.getTime());
      }),
    );
  });

  it('may name a leap second', () => {
    expect(parseHttpDate('Sat, 31 Dec 2016 23:59:60 GMT')).toBe(Date.UTC(2017, 0, 1));
  });

  it('with two digits for its year is at most 50 years ahead', () => {
    const thisYear = new Date().getUTCFullYear();
    fc.assert(
      fc.property(fc.integer({ min: thisYear - 49, max: thisYear + 50 }), (year) => {
        const twoDigits = String(year % 100).padStart(2, '0');
        const inThisCentury = Math.floor(year / 100) === Math.floor(thisYear / 100);
        fc.pre(inThisCentury || year < thisYear);
        expect(parseHttpDate(`Monday, 01-Feb-${twoDigits} 00:00:00 GMT`)).toBe(Date.UTC(year, 1, 1));
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['zero', '0'],
    ['seconds since 1970', '784111777'],
    ['ISO 8601', '1994-11-06T08:49:37Z'],
    ['another time zone', 'Sun, 06 Nov 1994 08:49:37 CET'],
    ['an offset', 'Sun, 06 Nov 1994 08:49:37 +0000'],
    ['no time zone', 'Sun, 06 Nov 1994 08:49:37'],
    ['no comma', 'Sun 06 Nov 1994 08:49:37 GMT'],
    ['one digit for the day', 'Sun, 6 Nov 1994 08:49:37 GMT'],
    ['one digit for the hour', 'Sun, 06 Nov 1994 8:49:37 GMT'],
    ['a day that is none', 'Sun, 31 Feb 1994 08:49:37 GMT'],
    ['day zero', 'Sun, 00 Nov 1994 08:49:37 GMT'],
    ['hour 24', 'Sun, 06 Nov 1994 24:00:00 GMT'],
    ['minute 60', 'Sun, 06 Nov 1994 08:60:37 GMT'],
    ['second 61', 'Sun, 06 Nov 1994 08:49:61 GMT'],
    ['something after it', 'Sun, 06 Nov 1994 08:49:37 GMT, x'],
    ['something before it', ' Sun, 06 Nov 1994 08:49:37 GMT'],
    ['two of them', 'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT'],
  ])('is not %s', (_what, text) => {
    expect(parseHttpDate(text)).toBeUndefined();
  });

  it('is nothing that is one character more or less', () => {
    fc.assert(
      fc.property(aSecond, fc.nat(28), fc.constantFrom('', 'x', ' x'), (date, at, instead) => {
        const text = date.toUTCString();
        expect(parseHttpDate(text.slice(0, at) + instead + text.slice(at + 1))).toBeUndefined();
      }),
      { examples: [[new Date(0), 3, '']] },
    );
  });
});
