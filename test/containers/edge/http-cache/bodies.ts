import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import type { BodyStore } from '../../../../containers/edge/cache/body-store';

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const NO_BOUND = Number.POSITIVE_INFINITY;

/** A body store whose operation number `failingOperation` (of creates, writes and commits) fails, as on a full disk. */
export class FaultyStore {
  faulted = false;
  #operations = 0;
  readonly #store: BodyStore;
  readonly #failingOperation: number;

  constructor(store: BodyStore, failingOperation: number) {
    this.#store = store;
    this.#failingOperation = failingOperation;
  }

  asBodyStore(): BodyStore {
    const store = this.#store;
    return {
      create: async (expectedBytes) => {
        this.#count();
        const writer = await store.create(expectedBytes);
        const orAbort = async <T>(operation: () => Promise<T>): Promise<T> => {
          try {
            this.#count();
          } catch (error) {
            await writer.abort(error as Error);
            throw error;
          }
          return operation();
        };
        return {
          get bytes() {
            return writer.bytes;
          },
          write: (chunk) => orAbort(() => writer.write(chunk)),
          commit: () => orAbort(() => writer.commit()),
          abort: (reason) => writer.abort(reason),
          read: (start, end) => writer.read(start, end),
        };
      },
      open: (id) => store.open(id),
      delete: (id) => store.delete(id),
      usage: () => store.usage(),
      healthy: () => store.healthy(),
      close: () => store.close(),
    };
  }

  #count(): void {
    this.#operations += 1;
    if (this.#operations !== this.#failingOperation) return;
    this.faulted = true;
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  }
}

export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

export async function contentOf(store: BodyStore, id: string): Promise<Buffer | undefined> {
  const stored = await store.open(id);
  if (!stored) return undefined;
  const content = await buffer(stored.read());
  await stored.close();
  return content;
}
