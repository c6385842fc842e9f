/** What a list needs of its nodes, so that neither list nor node takes another object. */
export interface SieveNode<T> {
  /** Wanted since the hand passed it last; whoever looks the node up sets it. */
  visited: boolean;
  newer: T | undefined;
  older: T | undefined;
}

/**
 * Nodes in the order they came, and the hand that chooses which one goes: it moves from the oldest towards the newest,
 * sparing visited ones once. Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024.
 */
export class Sieve<T extends SieveNode<T>> {
  #newest: T | undefined;
  #oldest: T | undefined;
  #hand: T | undefined;
  #size = 0;

  /** A node that is in no list. */
  add(node: T): void {
    node.older = this.#newest;
    if (this.#newest) this.#newest.newer = node;
    else this.#oldest = node;
    this.#newest = node;
    this.#size += 1;
  }

  /** A node of this list. */
  remove(node: T): void {
    if (this.#hand === node) this.#hand = node.newer;
    if (node.newer) node.newer.older = node.older;
    else this.#newest = node.older;
    if (node.older) node.older.newer = node.newer;
    else this.#oldest = node.newer;
    // A dead node in the old generation would keep its neighbours, and theirs, alive through every young collection.
    node.newer = node.older = undefined;
    this.#size -= 1;
  }

  /** Makes a node of this list the next to go. */
  demote(node: T): void {
    node.visited = false;
    this.#hand = node;
  }

  /** Removes the node that will be missed least and returns it; `undefined` when none is left that is not in use. */
  evict(isInUse?: (node: T) => boolean): T | undefined {
    let node = this.#hand ?? this.#oldest;
    // Two rounds: the first may only clear marks.
    for (let left = 2 * this.#size; node && left > 0; left--) {
      if (!node.visited && !isInUse?.(node)) {
        this.#hand = node;
        this.remove(node);
        return node;
      }
      node.visited = false;
      node = node.newer ?? this.#oldest;
    }
    return undefined;
  }

  /** Forgets every node at once, and leaves their links as they are: all of them are dead together. */
  clear(): void {
    this.#newest = this.#oldest = this.#hand = undefined;
    this.#size = 0;
  }
}
