/** Removals after which the Map is replaced. */
const RENEW_AFTER = 1_024;

/**
 * A Map of things that come and go quickly. V8 links each table that a Map has outgrown to the next: one that has got
 * into the old generation keeps all later ones, and what was in them, alive through every young collection. So the Map
 * is replaced now and then, by another that nothing leads to.
 */
export class TransientMap<Value> {
  #map = new Map<string, Value>();
  #removals = 0;

  get(key: string): Value | undefined {
    return this.#map.get(key);
  }

  set(key: string, value: Value): void {
    this.#map.set(key, value);
  }

  delete(key: string): void {
    if (!this.#map.delete(key)) return;
    this.#removals += 1;
    if (this.#removals < RENEW_AFTER) return;
    this.#removals = 0;
    this.#map = new Map(this.#map);
  }

  values(): IterableIterator<Value> {
    return this.#map.values();
  }
}
