/** Time over which load is averaged, ms: long enough that one burst does not move traffic, short against a DNS answer. */
const TIME_CONSTANT_MS = 5_000;

/** Reads what load is made of. */
export interface LoadSource {
  /** Share of its time that something of which there is a fixed amount was busy since the last call, each 0 to 1. */
  utilisations(now: number): Iterable<number>;
  /** How full the fullest queue is, 0 to 1. */
  fullness(): number;
}

/**
 * How loaded this process is, 0 to 1: the exponentially weighted moving average, with a time constant of 5 s, of
 *
 *     max(utilisation of the slots of each pool, of the event loop, fullness of the fullest queue)
 *
 * The greatest of them and not their mean: a process that has no event loop left, or no slot, or no room, has nothing
 * left for whoever needs that one.
 */
export class LoadMeter {
  readonly #source: LoadSource;
  #load = 0;
  #sampledAt: number;

  constructor(source: LoadSource, now: number) {
    this.#source = source;
    this.#sampledAt = now;
  }

  /** The load as of the last sample. */
  get load(): number {
    return this.#load;
  }

  /** Takes the time since the last sample into account. */
  sample(now: number): void {
    const elapsed = now - this.#sampledAt;
    if (elapsed <= 0) return;
    this.#sampledAt = now;
    const current = Math.max(this.#source.fullness(), ...this.#source.utilisations(now));
    const weight = 1 - Math.exp(-elapsed / TIME_CONSTANT_MS);
    this.#load += weight * (Math.min(1, Math.max(0, current)) - this.#load);
  }
}
