import fc from 'fast-check';
import { globMatcher } from '../../../lib/core/glob';

const asRegExp = (glob: string): RegExp =>
  new RegExp(
    `^${glob
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*/g, '.*')
      .replace(/\?/g, '.')}$`,
    'su',
  );

describe('globMatcher', () => {
  it('matches as the equivalent regular expression does', () => {
    const glob = fc.string({ unit: fc.constantFrom('a', 'b', '.', '[', '*', '?', 'é', '😀'), maxLength: 8 });
    const key = fc.string({ unit: fc.constantFrom('a', 'b', '.', '[', '*', '?', 'é', '😀'), maxLength: 10 });
    fc.assert(
      fc.property(glob, key, (pattern, text) => {
        expect(globMatcher(pattern)(text)).toBe(asRegExp(pattern).test(text));
      }),
      { numRuns: 5_000 },
    );
  });

  it('finishes on a pattern that makes a backtracking matcher exponential', () => {
    expect(globMatcher(`${'a*'.repeat(40)}b`)('a'.repeat(2_000))).toBe(false);
  });
});
