import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { closeSync, openSync } from 'node:fs';
import { type FileHandle, mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEdgeCache } from '../../../../containers/edge/cache';
import { type BodyStore, openBodyStore } from '../../../../containers/edge/cache/body-store';
import { DiskStore } from '../../../../containers/edge/cache/disk-store';
import { createEdgeCache } from '../../../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import { collectingLog, deferred, entryOf, filledWith, until } from './fixtures';

const MIB = 1024 * 1024;
const RETRY_MS = 5_000;
/** Long enough for a disk that answers, whatever else runs here. */
const deadlines = { readMs: 400, writeMs: 400 };

/** Makes every call of one method of file handles wait until it is let go. */
async function hold(method: 'read' | 'write'): Promise<() => void> {
  const any = await open(__filename);
  const prototype = Object.getPrototypeOf(any) as FileHandle;
  await any.close();
  const gate = deferred<void>();
  const original = prototype[method] as (...args: unknown[]) => Promise<unknown>;
  const spy = jest.spyOn(prototype, method).mockImplementation(async function (this: FileHandle, ...args: unknown[]) {
    await gate.promise;
    return original.apply(this, args) as never;
  });
  return () => {
    spy.mockRestore();
    gate.resolve();
  };
}

describe('a disk that does not answer', () => {
  let directory: string;
  let now: number;
  let letGo: () => void;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mlcdn-hang-'));
    now = 0;
    letGo = () => undefined;
  });
  afterEach(async () => {
    letGo();
    await rm(directory, { recursive: true });
  });
  const options = () => ({ now: () => now, deadlines });

  it('is a miss for the one that asked, is then left alone, and is used again once it has answered', async () => {
    const log = collectingLog();
    const l2 = await DiskStore.open(directory, MIB, log, options());
    for (const key of ['k', 'other']) await l2.set(entryOf(key));
    const index = new InvalidationIndex({ epoch: 'a', seq: 0 });
    const cache = createEdgeCache({ memory: createMemoryStore(1), l2, index });

    letGo = await hold('read');
    const answer = await cache.getOrFill('k', async () => filledWith('computed'));
    expect([answer.tier, `${answer.body}`]).toEqual(['origin', 'computed']);
    expect(l2.healthy()).toBe(false);
    expect(cache.stats().tierErrors.l2).toBeGreaterThan(0);
    expect(log.said).toEqual(['disk cache does not answer; going on without it']);
    now += RETRY_MS;
    await expect(l2.get('other')).rejects.toThrow('does not answer');
    await expect(l2.set(entryOf('new'))).rejects.toThrow('does not take writes');

    letGo();
    await until(() => log.said.includes('disk cache answers again'));
    expect(l2.healthy()).toBe(false);
    now += RETRY_MS;
    await l2.set(entryOf('k2'));
    expect(await l2.get('k2')).toBeDefined();
    expect(l2.healthy()).toBe(true);
    await cache.close();
  });

  it('does not bring back by a late write what has been replaced or deleted meanwhile', async () => {
    const log = collectingLog();
    const store = await DiskStore.open(directory, MIB, log, options());
    letGo = await hold('write');
    await expect(store.set(entryOf('k'))).rejects.toThrow('did not answer');
    expect(store.healthy()).toBe(false);
    expect(await store.get('k')).toBeUndefined();
    await expect(store.set(entryOf('k', { storedAt: 1 }))).rejects.toThrow('does not take writes');
    letGo();
    await until(() => log.said.includes('disk cache answers again'));
    expect(await store.get('k')).toBeUndefined();
    now += RETRY_MS;
    await store.set(entryOf('next'));
    expect(await store.get('next')).toBeDefined();
    expect(store.usage()).toMatchObject({ corrupt: 0, entries: 1 });
    await store.close();
  });

  const keep = async (store: BodyStore, content: Buffer): Promise<string> => {
    const writer = await store.create();
    await writer.write(content);
    return writer.commit();
  };

  it('does not hold up who opens a body, and loses none', async () => {
    const log = collectingLog();
    const store = await openBodyStore(directory, 8 * MIB, log, options());
    const content = randomBytes(600_000);
    const id = await keep(store, content);
    letGo = await hold('read');
    await expect(store.open(id)).rejects.toThrow('did not answer');
    await expect(store.open(id)).rejects.toThrow('does not answer');
    expect(store.healthy()).toBe(false);
    letGo();
    await until(() => log.said.includes('disk cache answers again'));
    now += RETRY_MS;
    const body = await store.open(id);
    expect(body && (await buffer(body.read())).equals(content)).toBe(true);
    await body?.close();
    expect(store.usage()).toMatchObject({ corrupt: 0, entries: 1 });
    await store.close();
  });

  it('does not hold up who opens a body whose very file does not open', async () => {
    const store = await openBodyStore(directory, 8 * MIB, collectingLog(), options());
    const id = createHash('sha256').update('x').digest('hex');
    const path = join(directory, `${id}.body`);
    execFileSync('mkfifo', [path]);
    await expect(store.open(id)).rejects.toThrow('did not answer');
    await (await open(path, 'r+')).close();
    await store.close();
  });

  it('leaves the process the threads by which it finds other hosts', async () => {
    const store = await openBodyStore(directory, 8 * MIB, collectingLog(), options());
    const ids = Array.from({ length: 8 }, (_, i) => createHash('sha256').update(`${i}`).digest('hex'));
    const paths = ids.map((id) => join(directory, `${id}.body`));
    execFileSync('mkfifo', paths);
    const opened = ids.map((id) => store.open(id).then(undefined, (error: unknown) => error));
    try {
      const found = await Promise.race([lookup('localhost'), sleep(2_000, undefined, { ref: false })]);
      expect(found).toBeDefined();
    } finally {
      const writers = paths.map((path) => openSync(path, 'r+'));
      await Promise.all(opened);
      await store.close();
      for (const writer of writers) closeSync(writer);
    }
  });

  it('breaks off the stream of a body, and the writing of one', async () => {
    const log = collectingLog();
    const store = await openBodyStore(directory, 8 * MIB, log, options());
    const content = randomBytes(600_000);
    const body = await store.open(await keep(store, content));
    letGo = await hold('read');
    await expect(buffer(body?.read() as never)).rejects.toThrow('did not answer');
    letGo();
    await body?.close();
    await until(() => log.said.includes('disk cache answers again'));

    const writer = await store.create();
    letGo = await hold('write');
    const read = buffer(writer.read());
    const broken = expect(read).rejects.toThrow('did not answer');
    await expect(writer.write(content)).rejects.toThrow('did not answer');
    await broken;
    expect(store.usage()).toMatchObject({ entries: 1, corrupt: 0 });
    letGo();
    await store.close();
  });

  it('holds up neither the start of the service nor its end', async () => {
    await mkdir(directory, { recursive: true });
    const segment = join(directory, `000000000001-${randomBytes(8).toString('hex')}.segment`);
    execFileSync('mkfifo', [segment]);
    const log = collectingLog();
    const service = await openEdgeCache({
      memoryMaxBytes: MIB,
      diskDir: directory,
      diskStartMs: 20,
      taskId: randomUUID(),
      region: 'r',
      report: () => ({ channels: {}, models: {} }),
      onControlMessage: () => undefined,
      log,
    });
    expect(log.said).toContain('disk cache cannot be used; going on without it');
    expect(service.health().l2).toBe(false);
    expect((await service.cache.getOrFill('k', async () => filledWith('computed'))).tier).toBe('origin');
    const writer = await open(segment, 'r+');
    await until(() => service.health().l2 === true);
    await writer.close();
    await service.close();
  });
});
