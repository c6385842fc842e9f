/** Weight of one run among those remembered, once there are enough: about the last 50 count. */
const WEIGHT = 0.02;

/** An observation counts as at most this many times what was expected: a pause of the process says nothing of a model. */
const OUTLIER = 8;

/** Runs after which an expectation is firm enough to call something an outlier. */
const SETTLED_RUNS = 5;

/** Variance of the sizes, relative to the square of their mean, from which on the sizes tell slope and intercept apart. */
const RIDGE = 1e-3;

/**
 * What a run of a model costs by the size of its input: `fixedMs + msPerElement * elements`, the line of exponentially
 * weighted least squares over the runs so far (weights and covariance after West, "Updating mean and variance
 * estimates", CACM 1979). Elements stand for rows, so that one line serves rows of different lengths too.
 *
 * Where all runs had about one size, a line through one point is any line: half of the time is then taken for fixed
 * (ridge regression towards that slope), so that a batch of two is worth trying, and trying it tells.
 */
export class CostModel {
  #runs = 0;
  #meanSize = 0;
  #meanMs = 0;
  #variance = 0;
  #covariance = 0;
  #fixedMs = 0;
  #msPerElement = 0;

  /** Takes in a run of `elements` input elements that took `ms`. */
  observe(elements: number, ms: number): void {
    const expected = this.predictMs(elements);
    const counted = this.#runs >= SETTLED_RUNS && expected > 0 ? Math.min(ms, OUTLIER * expected) : ms;
    this.#runs += 1;
    const weight = Math.max(1 / this.#runs, WEIGHT);
    const size = elements - this.#meanSize;
    const time = counted - this.#meanMs;
    this.#meanSize += weight * size;
    this.#meanMs += weight * time;
    this.#variance = (1 - weight) * (this.#variance + weight * size * size);
    this.#covariance = (1 - weight) * (this.#covariance + weight * size * time);
    this.#fit();
  }

  /** Whether a run has been seen; before, every prediction is 0. */
  get isKnown(): boolean {
    return this.#runs > 0;
  }

  /** Time that a run takes whatever its size, ms. */
  get fixedMs(): number {
    return this.#fixedMs;
  }

  /** Time that a run of `elements` input elements is expected to take, ms. */
  predictMs(elements: number): number {
    return this.#fixedMs + this.#msPerElement * elements;
  }

  /** Time that `elements` more input elements add to a run, ms. */
  marginalMs(elements: number): number {
    return this.#msPerElement * elements;
  }

  /** Input elements of which a run takes `ms`; infinite where size adds nothing. */
  elementsWithin(ms: number): number {
    const beyondFixed = Math.max(0, ms - this.#fixedMs);
    return this.#msPerElement > 0 ? beyondFixed / this.#msPerElement : Number.POSITIVE_INFINITY;
  }

  #fit(): void {
    const ridge = RIDGE * this.#meanSize * this.#meanSize;
    const halfOfTime = this.#meanSize > 0 ? this.#meanMs / (2 * this.#meanSize) : 0;
    const slope = (this.#covariance + ridge * halfOfTime) / (this.#variance + ridge || 1);
    const steepest = this.#meanSize > 0 ? this.#meanMs / this.#meanSize : 0;
    // Neither part of a run's time can be negative, whatever noise says.
    this.#msPerElement = Math.min(Math.max(slope, 0), steepest);
    this.#fixedMs = Math.max(0, this.#meanMs - this.#msPerElement * this.#meanSize);
  }
}
