/** Always allowed beside the relative tolerance. */
const ABSOLUTE_TOLERANCE = 1e-6;

/**
 * Whether a model's element is the expected one; the one rule by which publisher and regions judge golden samples.
 * Floats agree within `tolerance` relative and 1e-6 absolute, NaN with NaN; everything else exactly. A boolean may be
 * given as 0 or 1, a 64-bit integer as its decimal string.
 */
export function elementsAgree(
  expected: number | string | boolean | bigint,
  actual: number | string | boolean | bigint | undefined,
  tolerance: number,
): boolean {
  if (actual === undefined) return false;
  if (typeof expected === 'boolean') return Number(expected) === Number(actual);
  if (typeof actual === 'number') return numbersAgree(Number(expected), actual, tolerance);
  return String(expected) === String(actual);
}

function numbersAgree(expected: number, actual: number, tolerance: number): boolean {
  if (Object.is(expected, actual)) return true;
  return Math.abs(expected - actual) <= tolerance * Math.abs(expected) + ABSOLUTE_TOLERANCE;
}
