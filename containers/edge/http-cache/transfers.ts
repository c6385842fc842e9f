/** Bodies on their way to clients that leave in parts, not in one piece, with when each began. */
export class Transfers {
  /** A Map keeps the order of insertion, so the oldest come first. */
  readonly #begun = new Map<object, number>();
  readonly #clock: () => number;

  /** @param clock ms, monotonic */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
  }

  /** @param response what the body is sent with: it tells transfers apart */
  begin(response: object): void {
    this.#begun.set(response, this.#clock());
  }

  end(response: object): void {
    this.#begun.delete(response);
  }

  /** How many have been under way for at least so long, ms. */
  longerThan(ms: number): number {
    const latest = this.#clock() - ms;
    let count = 0;
    for (const begun of this.#begun.values()) {
      if (begun > latest) break;
      count += 1;
    }
    return count;
  }
}
