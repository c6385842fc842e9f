import { baseKeyOf } from './base-key';

/**
 * Keys that this process has made invalid and whose message has not come back through the control log yet. Each mark
 * has a place in an order of this process's own; what was filled after the mark, here, is not hit by it. What comes from
 * a shared tier cannot be placed in that order, and counts as older.
 */
export class LocalMarks {
  readonly #marks = new Map<string, number>();
  #count = 0;
  #everythingBefore = 0;

  /** Place of a fill that begins now. */
  now(): number {
    return this.#count;
  }

  /** Marks keys with every variant of them; gives back the place of the mark, by which it is taken off again. */
  mark(keys: readonly string[]): number {
    this.#count += 1;
    for (const key of keys) this.#marks.set(key, this.#count);
    return this.#count;
  }

  /** Takes off what `mark` set at `place`, unless it has been set again since. */
  unmark(keys: readonly string[], place: number): void {
    for (const key of keys) if (this.#marks.get(key) === place) this.#marks.delete(key);
  }

  /** Marks every key, in place of all marks there are. */
  markEverything(): number {
    this.#count += 1;
    this.#everythingBefore = this.#count;
    this.#marks.clear();
    return this.#count;
  }

  unmarkEverything(place: number): void {
    if (this.#everythingBefore === place) this.#everythingBefore = 0;
  }

  /** Whether something of this key that was filled at `place` is hit. */
  hits(key: string, place: number): boolean {
    if (place < this.#everythingBefore) return true;
    if (this.#marks.size === 0) return false;
    return (this.#marks.get(key) ?? 0) > place || (this.#marks.get(baseKeyOf(key)) ?? 0) > place;
  }
}
