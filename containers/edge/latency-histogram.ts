/** Buckets of an octave; a bucket's middle is within 1/16 of everything in it. */
const PER_OCTAVE = 8;
/** The first bucket begins at 2^-15 s (31 us), the last octave at 2^6 s. */
const FIRST_EXPONENT = -15;
const LAST_EXPONENT = 6;
const BUCKETS = (LAST_EXPONENT - FIRST_EXPONENT + 1) * PER_OCTAVE;

/** Bits of a double's upper half that exponent and the first three bits of the fraction leave below them. */
const FRACTION_SHIFT = 17;
const EXPONENT_BIAS = 1023;
const FIRST_BUCKET = (FIRST_EXPONENT + EXPONENT_BIAS) * PER_OCTAVE;

const double = new DataView(new ArrayBuffer(8));

/**
 * Counts of durations in log-linear buckets, as HdrHistogram's: any percentile is right within 6.25 %. A bucket's number
 * is read from the bits of the duration, which costs less than a logarithm. Shorter and longer durations than the buckets
 * hold count in the first and the last.
 */
export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS);

  /** @param seconds duration, at least 0 */
  add(seconds: number): void {
    double.setFloat64(0, seconds);
    const bucket = (double.getUint32(0) >>> FRACTION_SHIFT) - FIRST_BUCKET;
    const within = bucket < 0 ? 0 : bucket < BUCKETS ? bucket : BUCKETS - 1;
    this.#counts[within] = (this.#counts[within] ?? 0) + 1;
  }

  /** Counts so far by bucket; `middleSeconds` says what each stands for. */
  counts(): Float64Array {
    return this.#counts.slice();
  }

  /** The duration in the middle of a bucket, s. */
  static middleSeconds(bucket: number): number {
    const octave = 2 ** (FIRST_EXPONENT + Math.floor(bucket / PER_OCTAVE));
    return octave * (1 + ((bucket % PER_OCTAVE) + 0.5) / PER_OCTAVE);
  }
}
