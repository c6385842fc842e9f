import { globMatcher } from '../../../lib/core/glob';

/** A ban as plain data. */
export interface BanSnapshot {
  readonly kind: 'prefix' | 'glob';
  readonly text: string;
  readonly order: number;
}

interface Ban extends BanSnapshot {
  readonly matches: (key: string) => boolean;
}

/** Invalidations of everything whose key begins with a text or matches a glob, checked when an entry is read. */
export class Bans {
  /** Oldest first, each text once. */
  #bans: Ban[] = [];

  get size(): number {
    return this.#bans.length;
  }

  add(kind: Ban['kind'], text: string, order: number): void {
    const matches = kind === 'prefix' ? (key: string) => key.startsWith(text) : globMatcher(text);
    this.#bans = this.#bans.filter((ban) => ban.kind !== kind || ban.text !== text);
    this.#bans.push({ kind, text, order, matches });
  }

  /** Whether one that is younger than `order` hits the key. */
  hit(key: string, order: number): boolean {
    for (let i = this.#bans.length - 1; i >= 0; i--) {
      const ban = this.#bans[i];
      if (!ban || ban.order <= order) return false;
      if (ban.matches(key)) return true;
    }
    return false;
  }

  forgetUpTo(order: number): void {
    this.#bans = this.#bans.filter((ban) => ban.order > order);
  }

  /** Forgets the oldest and gives back its place. */
  forgetOldest(): number | undefined {
    return this.#bans.shift()?.order;
  }

  clear(): void {
    this.#bans = [];
  }

  snapshot(): BanSnapshot[] {
    return this.#bans.map(({ kind, text, order }) => ({ kind, text, order }));
  }
}
