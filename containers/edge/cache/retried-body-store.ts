import type { Logger } from '../control/types';
import { type BodyStore, type BodyWriter, openBodyStore, type StoredBody } from './body-store';
import { DiskSickError } from './disk-health';
import { RetriedOpening } from './retried-opening';
import type { StoreUsage } from './types';

/**
 * A body store that is there from the start: while its directory cannot be used it takes nothing, holds nothing and is
 * not healthy, and the directory is tried again.
 */
export async function openRetriedBodyStore(
  directory: string,
  maxBytes: number,
  log: Logger,
  retryMs?: number,
): Promise<BodyStore> {
  const opening = new RetriedOpening({
    open: () => openBodyStore(directory, maxBytes, log),
    log,
    failure: 'large bodies cannot be kept; passing them on',
    directory,
    retryMs,
  });
  await opening.start();
  return new RetriedBodyStore(directory, opening);
}

class RetriedBodyStore implements BodyStore {
  readonly #directory: string;
  readonly #opening: RetriedOpening<BodyStore>;

  constructor(directory: string, opening: RetriedOpening<BodyStore>) {
    this.#directory = directory;
    this.#opening = opening;
  }

  async create(expectedBytes?: number): Promise<BodyWriter> {
    const store = this.#opening.opened;
    if (!store) throw new DiskSickError(`${this.#directory} cannot be used`);
    return store.create(expectedBytes);
  }

  async open(id: string): Promise<StoredBody | undefined> {
    return this.#opening.opened?.open(id);
  }

  async delete(id: string): Promise<void> {
    await this.#opening.opened?.delete(id);
  }

  usage(): StoreUsage {
    return this.#opening.opened?.usage() ?? { bytes: 0, entries: 0, evictions: 0, corrupt: 0 };
  }

  healthy(): boolean {
    return this.#opening.opened?.healthy() ?? false;
  }

  close(): Promise<void> {
    return this.#opening.close();
  }
}
