/** Distance of neighbouring IEEE 754 binary16 numbers below 2^-14, the smallest normal one. */
const SUBNORMAL_STEP = 2 ** -24;

/** Bit pattern of positive infinity in binary16. */
const INFINITY_BITS = 0x7c00;

const SCRATCH = new DataView(new ArrayBuffer(8));

/** The value of an IEEE 754 binary16 bit pattern. */
export function numberOfHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * SUBNORMAL_STEP;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/**
 * The IEEE 754 binary16 bit pattern nearest to a value, ties to even; infinity for what is too large. Rounds the double
 * itself: going through binary32 would round twice.
 */
export function halfOfNumber(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | INFINITY_BITS;
  if (magnitude < 2 ** -14) return sign | roundHalfEven(magnitude / SUBNORMAL_STEP);
  SCRATCH.setFloat64(0, magnitude);
  const exponent = (SCRATCH.getUint32(0) >>> 20) - 1023;
  // A fraction that rounds up to 2048 carries into the exponent, which is what the addition does.
  return sign | (((exponent + 14) << 10) + roundHalfEven(magnitude * 2 ** (10 - exponent)));
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest > 0.5 || (rest === 0.5 && floor % 2 === 1)) return floor + 1;
  return floor;
}
