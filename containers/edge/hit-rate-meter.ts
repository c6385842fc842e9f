import type { CacheStats } from './cache/types';

/** Time after which a look-up counts 1/e of a new one, s. */
const MEMORY_SECONDS = 60;

/** Share of recent look-ups that the caches answered, from counters that only grow. Call `sample` once a second. */
export class HitRateMeter {
  private seen = { hits: 0, lookups: 0 };
  private recent = { hits: 0, lookups: 0 };

  sample({ hits, misses }: Pick<CacheStats, 'hits' | 'misses'>): void {
    const allHits = hits.memory + hits.l1 + hits.l2;
    const now = { hits: allHits, lookups: allHits + misses };
    const keep = Math.exp(-1 / MEMORY_SECONDS);
    this.recent = {
      hits: this.recent.hits * keep + now.hits - this.seen.hits,
      lookups: this.recent.lookups * keep + now.lookups - this.seen.lookups,
    };
    this.seen = now;
  }

  /** 0 to 1; 0 before the first look-up, and without further ones what it was. */
  get rate(): number {
    const { hits, lookups } = this.recent;
    return lookups > 0 ? Math.min(1, hits / lookups) : 0;
  }
}
