import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from './errors';
import { type VersionRecord, versionRecordSchema } from './version-record';

const METADATA = 'metadata.json';
const BODY = 'body';

/** A body being written, invisible until it is committed. */
export interface Staging {
  readonly directory: string;
  readonly bodyPath: string;
}

/**
 * Files of one bucket: `objects/<SHA-256 of the key>/<sequence>/{metadata.json, body}`. A version exists once its folder,
 * complete and synced, was renamed from `incoming/` into place; a crash at any moment leaves whole versions only.
 */
export class VersionFiles {
  private constructor(private readonly root: string) {}

  /** Opens the folder, making it where needed, and clears what a crash left half written. */
  static async open(root: string): Promise<VersionFiles> {
    await rm(join(root, 'incoming'), { recursive: true, force: true });
    await mkdir(join(root, 'incoming'), { recursive: true });
    await mkdir(join(root, 'objects'), { recursive: true });
    return new VersionFiles(root);
  }

  /** Runs `fill` with a fresh staging folder and removes whatever is left of it afterwards. */
  async stage<T>(fill: (staging: Staging) => Promise<T>): Promise<T> {
    const directory = join(this.root, 'incoming', randomUUID());
    await mkdir(directory);
    try {
      return await fill({ directory, bodyPath: join(directory, BODY) });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** Makes the staged body the version that `record` describes. */
  async commit(staging: Staging, record: VersionRecord): Promise<void> {
    await writeSynced(join(staging.directory, METADATA), JSON.stringify(record));
    const keyDirectory = this.keyDirectory(record.key);
    await mkdir(keyDirectory, { recursive: true });
    await rename(staging.directory, this.directory(record));
    await syncDirectory(keyDirectory);
    await syncDirectory(join(this.root, 'objects'));
  }

  /** Replaces the metadata of a committed version. */
  async update(record: VersionRecord): Promise<void> {
    await replaceFile(join(this.directory(record), METADATA), JSON.stringify(record));
  }

  /** Removes a version for good; it is gone as soon as its metadata is. */
  async remove(record: VersionRecord): Promise<void> {
    const directory = this.directory(record);
    await rm(join(directory, METADATA), { force: true });
    await syncDirectory(directory);
    await rm(directory, { recursive: true, force: true });
  }

  /** Opens a version's body. Fails with ENOENT when it was removed meanwhile. */
  openBody(record: VersionRecord): Promise<FileHandle> {
    return open(join(this.directory(record), BODY), 'r');
  }

  /** Everything that was committed, in no particular order; remnants of a removal are cleared. */
  async load(): Promise<VersionRecord[]> {
    const records: VersionRecord[] = [];
    for (const keyFolder of await readdir(join(this.root, 'objects'))) {
      for (const version of await readdir(join(this.root, 'objects', keyFolder))) {
        const directory = join(this.root, 'objects', keyFolder, version);
        const record = await readRecord(directory);
        if (record === undefined) await rm(directory, { recursive: true, force: true });
        else records.push(record);
      }
    }
    return records;
  }

  private directory(record: VersionRecord): string {
    return join(this.keyDirectory(record.key), String(record.sequence));
  }

  private keyDirectory(key: string): string {
    return join(this.root, 'objects', createHash('sha256').update(key).digest('hex'));
  }
}

/** Writes a new file and does not return before it is on the disk. */
export async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Replaces a file's content at once: readers see the old or the new, never a mixture. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    await writeSynced(temporary, text);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function readRecord(directory: string): Promise<VersionRecord | undefined> {
  try {
    return versionRecordSchema.parse(JSON.parse(await readFile(join(directory, METADATA), 'utf8')));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new Error(`${join(directory, METADATA)} is not the metadata of an object version: ${String(error)}`);
  }
}
