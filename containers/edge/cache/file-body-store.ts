import { randomUUID } from 'node:crypto';
import { type FileHandle, open, opendir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../control/types';
import { bodyPath, type InheritedBody, inheritedBody, type OpenedFile, openBodyFile } from './body-directory';
import { BLOCK_BYTES, type BodyLayout, fileBytes, readBlock } from './body-file';
import { BodyIndex, type KnownBody } from './body-index';
import type { BodyStore, BodyStoreOptions, BodyWriter, StoredBody } from './body-store';
import { DiskHealth, isDiskFull } from './disk-health';
import { DISK_THREADS } from './disk-threads';
import { GrowingBody } from './growing-body';
import { checkRange, PulledStream, SharedFile } from './pulled-stream';
import type { StoreUsage } from './types';

/** What a disk that refused is tried with. */
const PROBE = Buffer.alloc(64 * 1024);
/** At least so much is given up at once when the disk is full below the store's own bound. */
const MIN_RELIEF_BYTES = 1024 * 1024;

/** The body store over the files of one directory, which is this process's alone until `release` is called. */
export class FileBodyStore implements BodyStore {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #releaseDirectory: () => Promise<void>;
  readonly #log: Logger;
  readonly #health: DiskHealth;
  readonly #index = new BodyIndex();
  readonly #growing = new Set<GrowingBody>();
  /** Bytes that bodies which are being written may take. */
  #reservedBytes = 0;
  /** Bytes of files that have no name any more and live until their readers let go. */
  #lingeringBytes = 0;
  readonly #counted: Promise<void>;
  /** Tells this process's unfinished files from those of one that has ended; process ids are reused. */
  readonly #runId = randomUUID();
  #nextTemporary = 0;
  #evictions = 0;
  #corrupt = 0;
  #closed = false;

  constructor(
    directory: string,
    maxBytes: number,
    release: () => Promise<void>,
    log: Logger,
    options: BodyStoreOptions,
  ) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
    this.#releaseDirectory = release;
    this.#log = log;
    this.#health = new DiskHealth(directory, log, options);
    this.#counted = this.#countInherited().catch((error: unknown) =>
      log.error({ err: error, directory }, 'old bodies could not be counted; the disk may fill beyond its bound'),
    );
  }

  async create(expectedBytes = 0): Promise<BodyWriter> {
    if (this.#closed) throw new Error('the body store is closed');
    let reservedBytes = 0;
    const makeRoom = async (bytes: number): Promise<void> => {
      const wanted = fileBytes(bytes);
      if (wanted > reservedBytes) await this.#reserve(wanted - reservedBytes, wanted);
      reservedBytes = Math.max(wanted, reservedBytes);
    };
    const giveBackRoom = (): void => {
      this.#reservedBytes -= reservedBytes;
      reservedBytes = 0;
    };

    await makeRoom(expectedBytes);
    const path = join(this.#directory, `${this.#runId}-${this.#nextTemporary++}.partial`);
    let file: FileHandle;
    try {
      file = await this.#health.attempt(
        () => this.#startFile(path),
        (late) => void late.close().finally(() => this.#removeFile(path)),
      );
    } catch (error) {
      giveBackRoom();
      throw error;
    }
    const body: GrowingBody = new GrowingBody(file, {
      makeRoom,
      write: (bytes, write) => this.#health.observe(this.#writeWithRelief(bytes, () => DISK_THREADS.run(write))),
      read: (read) => this.#health.read(read),
      keep: async (id, bytes) => {
        const isKept = () => void (this.#index.get(id) ?? this.#index.add(id, fileBytes(bytes)));
        await this.#health.observe(
          DISK_THREADS.run(() => rename(path, bodyPath(this.#directory, id))),
          isKept,
        );
        this.#growing.delete(body);
        giveBackRoom();
        this.#forget(this.#index.get(id));
        this.#index.add(id, fileBytes(bytes));
      },
      discard: async () => {
        this.#growing.delete(body);
        giveBackRoom();
        await this.#removeFile(path);
      },
      open: (id) => this.open(id),
    });
    this.#growing.add(body);
    return body;
  }

  async open(id: string): Promise<StoredBody | undefined> {
    const path = bodyPath(this.#directory, id);
    let opened: OpenedFile;
    try {
      opened = await this.#health.read(
        () => openBodyFile(path, id),
        ({ file }) => void file.close(),
      );
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      this.#forget(this.#index.get(id));
      return undefined;
    }
    const { file, layout } = opened;
    if (!layout) {
      await file.close();
      await this.#dropCorrupt(id);
      return undefined;
    }
    const known = this.#index.get(id) ?? this.#index.add(id, fileBytes(layout.bytes));
    this.#index.touch(id);
    known.readers += 1;
    return this.#stored(known, new SharedFile(file, () => this.#letGo(known)), layout);
  }

  async delete(id: string): Promise<void> {
    this.#index.demote(id);
  }

  usage(): StoreUsage {
    return {
      bytes: this.#bytes(),
      entries: this.#index.size,
      evictions: this.#evictions,
      corrupt: this.#corrupt,
    };
  }

  healthy(): boolean {
    return this.#health.healthy();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const reason = new Error('the body store is closing');
    const finish = async (): Promise<void> => {
      await Promise.all([this.#counted, ...[...this.#growing].map((body) => body.abort(reason))]);
      await this.#releaseDirectory();
    };
    // What does not answer has been said in the log.
    await this.#health.within(finish()).catch(() => undefined);
  }

  #bytes(): number {
    return this.#index.bytes + this.#lingeringBytes + this.#reservedBytes;
  }

  async #startFile(path: string): Promise<FileHandle> {
    const file = await DISK_THREADS.run(() => open(path, 'w+'));
    try {
      // An empty file can be made on a full disk: while it is sick only a write tells.
      if (!this.healthy()) {
        await file.writeFile(PROBE);
        await file.truncate(0);
      }
      return file;
    } catch (error) {
      await file.close();
      await this.#removeFile(path);
      throw error;
    }
  }

  /** Takes `bytes` more, evicting until they fit; they are for a body whose file will have `fileSize` bytes. */
  async #reserve(bytes: number, fileSize: number): Promise<void> {
    if (fileSize > this.#maxBytes) {
      throw new RangeError(`a body of ${fileSize} bytes is larger than the store, ${this.#maxBytes} bytes`);
    }
    while (this.#bytes() + bytes > this.#maxBytes) {
      if ((await this.#evictOne()) === undefined) {
        throw new Error(`no room for ${bytes} bytes: every body in the store is being written or read`);
      }
    }
    this.#reservedBytes += bytes;
  }

  /** Writes; on a full disk gives up bodies for it, once. */
  async #writeWithRelief(bytes: number, write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      for (let freed = 0; freed < Math.max(bytes, MIN_RELIEF_BYTES); ) {
        const evicted = await this.#evictOne();
        if (evicted === undefined) break;
        freed += evicted;
      }
      await write();
    }
  }

  /** Bytes that it freed; `undefined` when nothing can be given up. */
  async #evictOne(): Promise<number | undefined> {
    const evicted = this.#index.evict();
    if (!evicted) return undefined;
    try {
      await this.#health.observe(DISK_THREADS.run(() => rm(bodyPath(this.#directory, evicted.id), { force: true })));
    } catch (error) {
      // It takes its room still.
      if (!this.#index.get(evicted.id)) this.#index.add(evicted.id, evicted.bytes);
      throw error;
    }
    this.#evictions += 1;
    return evicted.bytes;
  }

  async #removeFile(path: string): Promise<void> {
    await this.#health
      .within(DISK_THREADS.run(() => rm(path, { force: true })))
      .catch((error: unknown) => this.#log.warn({ err: error, path }, 'a file of the disk cache could not be removed'));
  }

  /** Its file has no name any more. */
  #forget(known: KnownBody | undefined): void {
    if (!known || this.#index.get(known.id) !== known) return;
    this.#index.remove(known.id);
    if (known.readers > 0) this.#lingeringBytes += known.bytes;
  }

  #letGo(known: KnownBody): void {
    known.readers -= 1;
    if (known.readers === 0 && this.#index.get(known.id) !== known) this.#lingeringBytes -= known.bytes;
  }

  async #dropCorrupt(id: string): Promise<void> {
    this.#corrupt += 1;
    this.#forget(this.#index.get(id));
    this.#log.warn({ id, directory: this.#directory }, 'a damaged body was dropped from the disk cache');
    await this.#removeFile(bodyPath(this.#directory, id));
  }

  #stored(known: KnownBody, shared: SharedFile, layout: BodyLayout): StoredBody {
    let closed = false;
    return {
      bytes: layout.bytes,
      read: (start = 0, endExclusive = layout.bytes) => {
        checkRange(start, endExclusive);
        if (closed) throw new Error(`body ${known.id} has been closed`);
        const end = Math.min(endExclusive, layout.bytes);
        let position = start;
        const next = async (): Promise<Buffer | undefined> => {
          if (position >= end) return undefined;
          const block = Math.floor(position / BLOCK_BYTES);
          const bytes = await this.#health.read(() => readBlock(shared.file, layout, block));
          if (!bytes) {
            if (this.#index.get(known.id) === known) await this.#dropCorrupt(known.id);
            throw new Error(`body ${known.id} is damaged in block ${block}`);
          }
          const blockStart = block * BLOCK_BYTES;
          const chunk = bytes.subarray(position - blockStart, end - blockStart);
          position += chunk.length;
          return chunk;
        };
        shared.retain();
        return new PulledStream(next, () => shared.release());
      },
      close: async () => {
        if (closed) return;
        closed = true;
        shared.release();
      },
    };
  }

  /** Learns what the process before has left, oldest first, and clears away what it did not finish. */
  async #countInherited(): Promise<void> {
    const isForeignRemnant = (name: string) => name.endsWith('.partial') && !name.startsWith(this.#runId);
    const found: InheritedBody[] = [];
    for await (const { name } of await opendir(this.#directory)) {
      if (this.#closed) return;
      if (isForeignRemnant(name)) await this.#removeFile(join(this.#directory, name));
      const body = await inheritedBody(this.#directory, name);
      if (body !== undefined) found.push(body);
    }
    found.sort((a, b) => a.modified - b.modified);
    for (const { id, bytes } of found) if (!this.#index.get(id)) this.#index.add(id, bytes);
    while (this.#bytes() > this.#maxBytes && (await this.#evictOne()) !== undefined);
  }
}
