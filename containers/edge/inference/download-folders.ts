import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

const NAME = /^model-(\d+)-/;

/**
 * Folders for downloaded models. Each carries the id of the process that owns it, so that the next process can tell what
 * a killed one has left from what another one still serves.
 */
export class DownloadFolders {
  readonly #parent: string;
  readonly #created = new Set<string>();

  /** @param parent where the folders are made; created when missing */
  constructor(parent: string) {
    this.#parent = parent;
  }

  /** A new empty folder. */
  async create(): Promise<string> {
    await mkdir(this.#parent, { recursive: true });
    const folder = await mkdtemp(join(this.#parent, `model-${process.pid}-`));
    this.#created.add(folder);
    return folder;
  }

  /** Removes a folder that this object has made. */
  async remove(folder: string): Promise<void> {
    this.#created.delete(folder);
    await rm(folder, { recursive: true, force: true });
  }

  /** Removes every folder that this object has made. */
  async removeAll(): Promise<void> {
    await Promise.allSettled([...this.#created].map((folder) => this.remove(folder)));
  }

  /** Removes the folders of processes that are no more. What cannot be removed is somebody else's, and stays. */
  async removeLeftovers(): Promise<void> {
    const names = await readdir(this.#parent).catch((): string[] => []);
    const abandoned = names.filter((name) => this.#isAbandoned(name)).map((name) => join(this.#parent, name));
    await Promise.allSettled(abandoned.map((folder) => rm(folder, { recursive: true, force: true })));
  }

  #isAbandoned(name: string): boolean {
    const owner = Number(NAME.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(owner)) return false;
    // In a container process ids come back: a folder of this id that this object has not made is of a life before.
    return owner === process.pid ? !this.#created.has(join(this.#parent, name)) : !isAlive(owner);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, under another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
