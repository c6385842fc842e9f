import type { CacheEntry, Filled } from '../../../../containers/edge/cache/types';
import type { Logger } from '../../../../containers/edge/control/types';

/** An entry stamped at the start of epoch `a`, fresh for an hour. */
export function entryOf(key: string, fields: Partial<CacheEntry> = {}): CacheEntry {
  return {
    key,
    body: Buffer.from(`body of ${key}`),
    tags: ['model:ranker'],
    stamp: { epoch: 'a', seq: 0 },
    storedAt: Date.now(),
    ttlMs: 3_600_000,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    ...fields,
  };
}

/** What an origin answers with, fresh for an hour. */
export function filledWith(body: string, fields: Partial<Filled> = {}): Filled {
  return { body: Buffer.from(body), tags: ['model:ranker'], ttlMs: 3_600_000, ...fields };
}

/** A logger that remembers what was said. */
export function collectingLog(): Logger & { readonly said: string[] } {
  const said: string[] = [];
  const say = (_fields: object, message: string) => void said.push(message);
  return { said, info: say, warn: say, error: say };
}

/** A promise with its handles, for tests that decide when something is answered. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** A condition that has not come true by then never will; a loop without an end would outlive its test, ms. */
const UNTIL_MS = 25_000;

/** Resolves once `condition` holds, looking again after every turn of the event loop; rejects when it never does. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + UNTIL_MS;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`the condition did not hold within ${UNTIL_MS} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
