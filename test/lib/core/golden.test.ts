import { elementsAgree } from '../../../lib/core/golden';

test.each([
  [1, 1.00009, true],
  [1, 1.0002, false],
  [0, 1e-6, true],
  [0, 2e-6, false],
  ['NaN', Number.NaN, true],
  [1, Number.NaN, false],
  ['1.5', 1.5, true],
  [true, 1, true],
  [true, false, false],
  ['9007199254740993', 9007199254740993n, true],
  ['9007199254740993', 9007199254740992n, false],
  ['a', 'b', false],
  [1, undefined, false],
] as const)('expected %p, got %p: %p', (expected, actual, agree) => {
  expect(elementsAgree(expected, actual, 1e-4)).toBe(agree);
});
