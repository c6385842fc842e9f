import { randomBytes } from 'node:crypto';
import { ServiceError } from '../aws-front/service-error';

/** Quotas of a key value store, bytes of UTF-8. Source: CloudFront developer guide, "Quotas on key value stores". */
const MAX_KEY_BYTES = 512;
const MAX_VALUE_BYTES = 1024;
const MAX_STORE_BYTES = 5 * 1024 * 1024;
const MAX_KEYS_PER_UPDATE = 50;

/** One change of several keys; a key stands in at most one of the lists. */
export interface KeyUpdate {
  readonly puts: readonly { readonly key: string; readonly value: string }[];
  readonly deletes: readonly string[];
}

/** A CloudFront KeyValueStore: every change needs the store's current ETag and is applied whole or not at all. */
export class KeyValueStore {
  private values: ReadonlyMap<string, string> = new Map();
  private bytes = 0;
  private currentEtag = newEtag();
  private modified: Date;
  readonly created: Date;

  constructor(
    readonly arn: string,
    readonly name: string,
    private readonly now: () => number,
  ) {
    this.created = new Date(now());
    this.modified = this.created;
  }

  get etag(): string {
    return this.currentEtag;
  }

  get lastModified(): Date {
    return this.modified;
  }

  get itemCount(): number {
    return this.values.size;
  }

  get totalBytes(): number {
    return this.bytes;
  }

  get(key: string): string | undefined {
    return this.values.get(key);
  }

  /** Entries ordered by key. */
  entries(): { key: string; value: string }[] {
    return [...this.values].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => ({ key, value }));
  }

  /**
   * Applies a change.
   *
   * @throws ServiceError ConflictException when `etag` is not the store's current one, ValidationException for a bad
   * key, value or number of keys, ResourceNotFoundException for the deletion of a key that is not there,
   * ServiceQuotaExceededException when the store would exceed 5 MB.
   */
  update(etag: string | undefined, change: KeyUpdate): void {
    checkChange(change);
    if (etag === undefined) throw new ServiceError('ValidationException', 'If-Match must hold the store ETag');
    if (etag !== this.currentEtag) {
      throw new ServiceError('ConflictException', `If-Match ${etag} is not the current ETag ${this.currentEtag}`, 409);
    }
    const next = new Map(this.values);
    for (const key of change.deletes) {
      if (!next.delete(key)) throw new ServiceError('ResourceNotFoundException', `the store has no key ${key}`, 404);
    }
    for (const { key, value } of change.puts) next.set(key, value);
    let bytes = 0;
    for (const [key, value] of next) bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    if (bytes > MAX_STORE_BYTES) {
      throw new ServiceError(
        'ServiceQuotaExceededException',
        `${bytes} bytes exceed the store's ${MAX_STORE_BYTES}`,
        402,
      );
    }
    this.values = next;
    this.bytes = bytes;
    this.currentEtag = newEtag();
    this.modified = new Date(this.now());
  }
}

function checkChange({ puts, deletes }: KeyUpdate): void {
  const keys = [...puts.map(({ key }) => key), ...deletes];
  const invalid = (message: string) => new ServiceError('ValidationException', message);
  if (keys.length < 1 || keys.length > MAX_KEYS_PER_UPDATE) {
    throw invalid(`a change has 1 to ${MAX_KEYS_PER_UPDATE} keys, this one has ${keys.length}`);
  }
  if (new Set(keys).size !== keys.length) throw invalid('a change names each key once');
  for (const key of keys) {
    const bytes = Buffer.byteLength(key);
    if (bytes < 1 || bytes > MAX_KEY_BYTES)
      throw invalid(`key ${key} has ${bytes} bytes; 1 to ${MAX_KEY_BYTES} are allowed`);
  }
  for (const { key, value } of puts) {
    const bytes = Buffer.byteLength(value);
    if (bytes > MAX_VALUE_BYTES)
      throw invalid(`the value of ${key} has ${bytes} bytes; at most ${MAX_VALUE_BYTES} are allowed`);
  }
}

function newEtag(): string {
  return `KV${randomBytes(7).toString('hex').toUpperCase()}`;
}
