import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { DiskStore } from '../../../../containers/edge/cache/disk-store';
import { collectingLog, entryOf } from './fixtures';

const MIB = 1024 * 1024;

describe('the disk store', () => {
  let directory: string;
  let stores: DiskStore[];
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mlcdn-disk-'));
    stores = [];
  });
  afterEach(async () => {
    for (const store of stores) await store.close();
    await rm(directory, { recursive: true });
  });

  const open = async (maxBytes = 8 * MIB): Promise<DiskStore> => {
    const store = await DiskStore.open(directory, maxBytes, collectingLog());
    stores.push(store);
    return store;
  };
  const close = async (store: DiskStore): Promise<void> => {
    await store.close();
    stores.splice(stores.indexOf(store), 1);
  };
  const reopen = async (store: DiskStore, maxBytes = 8 * MIB): Promise<DiskStore> => {
    await close(store);
    const next = await open(maxBytes);
    await next.loaded;
    return next;
  };
  const segmentFiles = async () =>
    (await readdir(directory)).filter((name) => name.endsWith('.segment')).map((name) => join(directory, name));
  const firstSegment = async (): Promise<string> => (await segmentFiles())[0] ?? '';

  it('remembers across processes what was set last, and that something was deleted', async () => {
    const store = await open();
    const entry = entryOf('kept');
    await store.set(entryOf('kept', { body: Buffer.from('older'), storedAt: 1 }));
    await store.set(entry);
    await store.set(entryOf('deleted'));
    await store.delete('deleted');
    const next = await reopen(store);
    expect(await next.get('kept')).toEqual(entry);
    expect(await next.get('deleted')).toBeUndefined();
  });

  it('prefers what this process wrote, or deleted, while the old segments were still being read', async () => {
    const store = await open();
    await store.set(entryOf('rewritten', { body: Buffer.from('old'), storedAt: 1 }));
    await store.set(entryOf('deleted'));
    await close(store);
    const next = await open();
    await Promise.all([next.set(entryOf('rewritten', { body: Buffer.from('new') })), next.delete('deleted')]);
    await next.loaded;
    expect((await next.get('rewritten'))?.body.toString()).toBe('new');
    expect(await next.get('deleted')).toBeUndefined();
  });

  it('drops a torn tail and keeps everything before it', async () => {
    const store = await open();
    for (let i = 0; i < 10; i++) await store.set(entryOf(`k${i}`));
    await close(store);
    const path = await firstSegment();
    await truncate(path, (await stat(path)).size - 5);
    const next = await open();
    await next.loaded;
    for (let i = 0; i < 9; i++) expect(await next.get(`k${i}`)).toBeDefined();
    expect(await next.get('k9')).toBeUndefined();
    expect(next.usage().corrupt).toBe(1);
  });

  it('never answers wrongly from a damaged file, and keeps the entries that are whole', async () => {
    const original = await open();
    const entries = Array.from({ length: 20 }, (_, i) => entryOf(`k${i}`, { body: Buffer.alloc(200, i) }));
    for (const entry of entries) await original.set(entry);
    await close(original);
    const path = await firstSegment();
    const pristine = await readFile(path);

    const flips = fc.uniqueArray(fc.nat(pristine.length * 8 - 1), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(flips, async (bits) => {
        const damaged = Buffer.from(pristine);
        for (const bit of bits) damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        await writeFile(path, damaged);
        const store = await open();
        await store.loaded;
        const found = await Promise.all(entries.map((entry) => store.get(entry.key)));
        found.forEach((entry, i) => {
          if (entry) expect(entry).toEqual(entries[i]);
        });
        expect(found.filter((entry) => entry).length).toBeGreaterThanOrEqual(entries.length - bits.length);
        expect(store.usage().corrupt).toBeGreaterThan(0);
        await close(store);
      }),
      { numRuns: 100 },
    );
  });

  it('notices damage that comes after it has opened the file', async () => {
    const store = await open();
    await store.set(entryOf('k', { body: Buffer.alloc(100, 1) }));
    const path = await firstSegment();
    const bytes = await readFile(path);
    bytes[bytes.length - 1] = 2;
    await writeFile(path, bytes);
    expect(await store.get('k')).toBeUndefined();
    expect(store.usage()).toMatchObject({ corrupt: 1, entries: 0 });
  });

  it('stays within its bound by dropping the oldest, and gives up no more than it must', async () => {
    const store = await open(MIB);
    for (let i = 0; i < 400; i++) await store.set(entryOf(`k${i}`, { body: Buffer.alloc(10_000, i) }));
    const sizes = await Promise.all((await segmentFiles()).map(async (path) => (await stat(path)).size));
    const onDisk = sizes.reduce((sum, size) => sum + size, 0);
    expect(onDisk).toBe(store.usage().bytes);
    expect(onDisk).toBeLessThanOrEqual(MIB);
    expect(onDisk).toBeGreaterThan(MIB * 0.7);
    expect(await store.get('k399')).toBeDefined();
    expect(await store.get('k0')).toBeUndefined();
    expect(store.usage().evictions + store.usage().entries).toBe(400);
  });

  it('writes on what is read, and lets go of what is not or is past its time', async () => {
    let now = Date.now();
    const store = await DiskStore.open(directory, MIB, collectingLog(), { clock: () => now });
    stores.push(store);
    const read = entryOf('read', { body: Buffer.alloc(10_000, 7) });
    const stale = entryOf('stale', { ttlMs: 1_000, staleIfErrorMs: 7_200_000 });
    const past = entryOf('past', { ttlMs: 1_000, staleIfErrorMs: 1_000 });
    for (const entry of [read, stale, past, entryOf('unread')]) await store.set(entry);
    now += 60_000;
    for (let i = 0; i < 400; i++) {
      await store.set(entryOf(`k${i}`, { body: Buffer.alloc(10_000, i) }));
      for (const key of ['read', 'stale', 'past']) await store.get(key);
    }
    expect(await store.get('read')).toEqual(read);
    expect(await store.get('stale')).toEqual(stale);
    expect(await store.get('past')).toBeUndefined();
    expect(await store.get('unread')).toBeUndefined();
    expect(store.usage().bytes).toBeLessThanOrEqual(MIB);
    expect(store.usage().evictions + store.usage().entries).toBe(404);
    expect(await (await reopen(store, MIB)).get('read')).toEqual(read);
  });

  it('stays within its bound when everything is read', async () => {
    const store = await open(MIB);
    for (let i = 0; i < 400; i++) {
      await store.set(entryOf(`k${i}`, { body: Buffer.alloc(10_000, i) }));
      for (let j = Math.max(0, i - 90); j <= i; j += 10) await store.get(`k${j}`);
    }
    const sizes = await Promise.all((await segmentFiles()).map(async (path) => (await stat(path)).size));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(store.usage().bytes);
    expect(store.usage().bytes).toBeLessThanOrEqual(MIB);
    expect(await store.get('k399')).toBeDefined();
  });

  it('does not hold up the event loop while it reads old segments', async () => {
    const store = await open(64 * MIB);
    await Promise.all(
      Array.from({ length: 20_000 }, (_, i) => store.set(entryOf(`k${i}`, { body: Buffer.alloc(300) }))),
    );
    await close(store);
    let turns = 0;
    let done = false;
    const next = await open(64 * MIB);
    const count = () => {
      turns += 1;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    await next.loaded;
    done = true;
    expect(next.usage().entries).toBe(20_000);
    expect(turns).toBeGreaterThan(5);
  });

  it('shrinks when it is opened with a lower bound', async () => {
    const store = await open(4 * MIB);
    for (let i = 0; i < 300; i++) await store.set(entryOf(`k${i}`, { body: Buffer.alloc(10_000) }));
    const next = await reopen(store, 2 * MIB);
    expect(next.usage().bytes).toBeLessThanOrEqual(2 * MIB);
    expect(await next.get('k299')).toBeDefined();
  });

  it('does not keep an entry that is larger than a segment, and says nothing of it', async () => {
    const store = await open(MIB);
    await store.set(entryOf('large', { body: Buffer.alloc(MIB / 4) }));
    expect(await store.get('large')).toBeUndefined();
  });

  it('writes an entry once that comes back by promotion', async () => {
    const store = await open();
    const entry = entryOf('k');
    await store.set(entry);
    const { bytes } = store.usage();
    await store.set({ ...entry });
    expect(store.usage().bytes).toBe(bytes);
    await store.set({ ...entry, stamp: { epoch: 'a', seq: 1 } });
    expect((await store.get('k'))?.stamp.seq).toBe(1);
  });

  it('stays empty across processes after a clear', async () => {
    const store = await open();
    await store.set(entryOf('k'));
    await store.clear();
    expect(await (await reopen(store)).get('k')).toBeUndefined();
  });

  it('refuses a directory that another store uses, and takes over one whose process has ended', async () => {
    const store = await open();
    await expect(DiskStore.open(directory, MIB, collectingLog())).rejects.toThrow(`in use by process ${process.pid}`);
    await close(store);
    const ended = spawnSync(process.execPath, ['-e', 'process.stdout.write(String(process.pid))']).stdout.toString();
    await symlink(`${ended} 1`, join(directory, 'owner'));
    await expect(open()).resolves.toBeDefined();
  });
});
