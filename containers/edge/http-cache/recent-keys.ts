/** Keys remembered at most; the oldest go first. */
const MAX_KEYS = 10_000;

/** Remembers something about a key for a while, for a bounded number of keys. */
export class RecentKeys<Value> {
  readonly #clock: () => number;
  readonly #values = new Map<string, { readonly value: Value; readonly until: number }>();

  /** `clock` in ms. */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  get(key: string): Value | undefined {
    const held = this.#values.get(key);
    if (held && held.until > this.#clock()) return held.value;
    if (held) this.#values.delete(key);
    return undefined;
  }

  set(key: string, value: Value, forMs: number): void {
    this.#values.delete(key);
    this.#values.set(key, { value, until: this.#clock() + forMs });
    if (this.#values.size <= MAX_KEYS) return;
    for (const oldest of this.#values.keys()) {
      this.#values.delete(oldest);
      return;
    }
  }

  delete(key: string): void {
    this.#values.delete(key);
  }
}
