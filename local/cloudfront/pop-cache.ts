import type { Headers } from './headers';

/** An answer as a POP keeps it. */
export interface StoredObject {
  readonly id: string;
  /** Path with the query strings of the cache key. */
  readonly path: string;
  /** In lower case. */
  readonly tags: readonly string[];
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
  /** `ETag` as the origin wrote it, for asking it again; compression weakens the one in `headers`. */
  readonly originEtag: string | undefined;
  /** Time of the answer or of its last confirmation, ms since 1970. */
  readonly storedAt: number;
  /** `Age` that the answer came with, ms. */
  readonly initialAgeMs: number;
  /** End of freshness, ms since 1970. */
  readonly freshUntil: number;
  /** How long after `freshUntil` it may be served while it is being confirmed, ms. */
  readonly staleWhileRevalidateMs: number;
  /** How long after `freshUntil` it may stand in for an error, ms. */
  readonly staleIfErrorMs: number;
}

interface Node {
  readonly object: StoredObject;
  readonly bytes: number;
  newer: Node | undefined;
  older: Node | undefined;
}

/** Bytes charged for an object beyond its body: names, header objects, list and map entries; an estimate. */
const OVERHEAD_BYTES = 512;

/** The objects of one POP, bounded in bytes; the least recently used one gives way. */
export class PopCache {
  private readonly nodes = new Map<string, Node>();
  private newest: Node | undefined;
  private oldest: Node | undefined;
  private bytes = 0;

  constructor(readonly maxBytes: number) {}

  get(id: string): StoredObject | undefined {
    const node = this.nodes.get(id);
    if (!node) return undefined;
    this.unlink(node);
    this.linkNewest(node);
    return node.object;
  }

  /** Stores an object in the place of the one with its id; one that is larger than the POP is not stored. */
  put(object: StoredObject): void {
    this.delete(object.id);
    const bytes = sizeOf(object);
    if (bytes > this.maxBytes) return;
    const node: Node = { object, bytes, newer: undefined, older: undefined };
    this.nodes.set(object.id, node);
    this.linkNewest(node);
    this.bytes += bytes;
    while (this.bytes > this.maxBytes && this.oldest) this.delete(this.oldest.object.id);
  }

  delete(id: string): void {
    const node = this.nodes.get(id);
    if (!node) return;
    this.nodes.delete(id);
    this.unlink(node);
    this.bytes -= node.bytes;
  }

  deleteWhere(isMeant: (object: StoredObject) => boolean): void {
    for (const { object } of [...this.nodes.values()]) if (isMeant(object)) this.delete(object.id);
  }

  private linkNewest(node: Node): void {
    node.older = this.newest;
    node.newer = undefined;
    if (this.newest) this.newest.newer = node;
    this.newest = node;
    this.oldest ??= node;
  }

  private unlink(node: Node): void {
    if (node.newer) node.newer.older = node.older;
    else this.newest = node.older;
    if (node.older) node.older.newer = node.newer;
    else this.oldest = node.newer;
  }
}

function sizeOf(object: StoredObject): number {
  let bytes = OVERHEAD_BYTES + object.body.length + object.id.length;
  for (const [name, values] of object.headers)
    bytes += name.length + values.reduce((sum, value) => sum + value.length, 0);
  return bytes;
}
