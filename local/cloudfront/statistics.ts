import type { Pop } from '../geo/pops';

/** Counters of one POP since the start. */
export interface PopCounters {
  requests: number;
  /** Answers from the POP's cache, confirmed ones included. */
  hits: number;
  misses: number;
  errors: number;
  /** Bytes of bodies that went to viewers. */
  bytesServed: number;
  /** Bytes of bodies that came from origins. */
  bytesFromOrigin: number;
}

/** Counts what each POP did. */
export class PopStatistics {
  private readonly byPop = new Map<string, PopCounters>();

  /** @param result first word of the answer's `X-Cache` */
  countRequest(pop: Pop, result: string): void {
    const counters = this.of(pop);
    counters.requests += 1;
    if (result === 'Hit' || result === 'RefreshHit') counters.hits += 1;
    else if (result === 'Miss') counters.misses += 1;
    else if (result.includes('Error')) counters.errors += 1;
  }

  countServed(pop: Pop, bytes: number): void {
    this.of(pop).bytesServed += bytes;
  }

  countFromOrigin(pop: Pop, bytes: number): void {
    this.of(pop).bytesFromOrigin += bytes;
  }

  /** A copy of the counters by POP code; POPs without a request are absent. */
  snapshot(): Record<string, Readonly<PopCounters>> {
    return Object.fromEntries([...this.byPop].map(([code, counters]) => [code, { ...counters }]));
  }

  private of(pop: Pop): PopCounters {
    let counters = this.byPop.get(pop.code);
    if (!counters) {
      counters = { requests: 0, hits: 0, misses: 0, errors: 0, bytesServed: 0, bytesFromOrigin: 0 };
      this.byPop.set(pop.code, counters);
    }
    return counters;
  }
}
