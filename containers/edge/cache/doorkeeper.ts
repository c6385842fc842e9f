import { fnv1aOfText } from './fnv1a';

/** Bounds of the table; powers of two. */
const MIN_KEYS = 1 << 12;
const MAX_KEYS = 1 << 20;
/** Characters of a key that tell it from others: keys end in a digest or in the name of the object. */
const HASHED_CHARACTERS = 32;

/**
 * Knows which keys were asked for lately, so that what is asked for once does not take the place of what is asked for
 * often. A direct-mapped table of 32-bit hashes: a key is forgotten when another takes its place, which bounds both the
 * memory and how long "lately" is, and of two keys with one hash the second is taken for known, which costs nothing but
 * its place. The doorkeeper of TinyLFU (Einziger, Friedman, Manes, ACM TOS 2017), with forgetting in the place of resets.
 */
export class Doorkeeper {
  readonly #hashes: Uint32Array;

  /** `keys`: how many it remembers, about. */
  constructor(keys: number) {
    const size = 2 ** Math.ceil(Math.log2(Math.max(1, keys)));
    this.#hashes = new Uint32Array(Math.min(MAX_KEYS, Math.max(MIN_KEYS, size)));
  }

  /** Whether the key was here lately; from now on it was. */
  knows(key: string): boolean {
    const hash = hashOf(key);
    const place = hash & (this.#hashes.length - 1);
    if (this.#hashes[place] === hash) return true;
    this.#hashes[place] = hash;
    return false;
  }
}

/** Never 0, which stands for no key. */
function hashOf(key: string): number {
  const hash = fnv1aOfText(key, Math.max(0, key.length - HASHED_CHARACTERS)) ^ key.length;
  return hash >>> 0 || 1;
}
