import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { type BodyStore, openBodyStore } from '../../../../containers/edge/cache/body-store';
import { DiskStore } from '../../../../containers/edge/cache/disk-store';
import { SmallDisk } from '../../../support/small-disk';
import { collectingLog, entryOf } from './fixtures';

const MIB = 1024 * 1024;
const RETRY_MS = 5_000;

async function keep(store: BodyStore, content: Buffer): Promise<string> {
  const writer = await store.create();
  for (let at = 0; at < content.length; at += 65_536) await writer.write(content.subarray(at, at + 65_536));
  return writer.commit();
}

async function contentOf(store: BodyStore, id: string): Promise<Buffer | undefined> {
  const body = await store.open(id);
  if (!body) return undefined;
  try {
    return await buffer(body.read());
  } finally {
    await body.close();
  }
}

describe('a disk smaller than the bound of the store', () => {
  let disk: SmallDisk;
  let mounted: boolean;
  beforeEach(() => {
    disk = new SmallDisk();
    mounted = disk.mount(2 * MIB);
  });
  afterEach(() => {
    if (mounted) disk.unmount();
  });

  it('keeps the newest entries, by giving up the oldest', async () => {
    if (!mounted) return;
    const store = await DiskStore.open(disk.directory, 8 * MIB, collectingLog());
    for (let i = 0; i < 400; i++) await store.set(entryOf(`k${i}`, { body: Buffer.alloc(10_000, i) }));
    expect((await store.get('k399'))?.body.equals(Buffer.alloc(10_000, 399))).toBe(true);
    expect(store.usage().evictions).toBeGreaterThan(0);
    expect(store.healthy()).toBe(true);
    await store.close();
  });

  it('keeps the newest bodies, by giving up others', async () => {
    if (!mounted) return;
    const store = await openBodyStore(disk.directory, 8 * MIB, collectingLog());
    const contents = Array.from({ length: 8 }, () => randomBytes(500_000));
    let last = '';
    for (const content of contents) last = await keep(store, content);
    expect((await contentOf(store, last))?.equals(contents[7] ?? Buffer.alloc(0))).toBe(true);
    expect(store.usage().evictions).toBeGreaterThan(0);
    await store.close();
  });

  it('answers on when others have filled it, leaves it alone, and takes to it again by itself', async () => {
    if (!mounted) return;
    let now = 0;
    const log = collectingLog();
    const entries = await DiskStore.open(disk.directory, 8 * MIB, log, { now: () => now });
    const bodies = await openBodyStore(join(disk.directory, 'bodies'), 8 * MIB, log, { now: () => now });
    const hog = join(disk.directory, 'hog');
    await writeFile(hog, Buffer.alloc(4 * MIB)).catch(() => undefined);

    await expect(entries.set(entryOf('k'))).rejects.toThrow('ENOSPC');
    await expect(entries.set(entryOf('k'))).rejects.toThrow('does not take writes');
    expect(await entries.get('k')).toBeUndefined();
    await expect(keep(bodies, randomBytes(100_000))).rejects.toThrow('ENOSPC');
    await expect(bodies.create()).rejects.toThrow('does not take writes');
    expect([entries.healthy(), bodies.healthy()]).toEqual([false, false]);
    expect(bodies.usage()).toMatchObject({ bytes: 0, entries: 0 });

    now += RETRY_MS;
    await expect(entries.set(entryOf('k'))).rejects.toThrow('ENOSPC');
    await expect(bodies.create()).rejects.toThrow('ENOSPC');

    await rm(hog);
    await expect(entries.set(entryOf('k'))).rejects.toThrow('does not take writes');
    now += RETRY_MS;
    await entries.set(entryOf('k'));
    expect(await entries.get('k')).toBeDefined();
    const content = randomBytes(100_000);
    expect((await contentOf(bodies, await keep(bodies, content)))?.equals(content)).toBe(true);
    expect([entries.healthy(), bodies.healthy()]).toEqual([true, true]);
    expect(log.said.filter((message) => message.includes('takes writes again'))).toHaveLength(2);
    await entries.close();
    await bodies.close();
  });

  it('gives the readers of a body that no longer fits all that was written', async () => {
    if (!mounted) return;
    const store = await openBodyStore(disk.directory, 8 * MIB, collectingLog());
    const writer = await store.create();
    const chunk = Buffer.alloc(100_000, 'ab');
    const got: Buffer[] = [];
    const reading = (async () => {
      for await (const part of writer.read()) got.push(part);
    })();
    const outcome = expect(reading).rejects.toThrow('ENOSPC');
    await expect(
      (async () => {
        for (let i = 0; i < 100; i++) await writer.write(chunk);
      })(),
    ).rejects.toThrow('ENOSPC');
    await outcome;
    expect(Buffer.concat(got).length).toBe(writer.bytes);
    expect(writer.bytes).toBeGreaterThan(MIB);
    expect(await readdir(disk.directory)).toEqual(['owner']);
    await store.close();
  });

  it('can be opened on a full disk, and works once there is room', async () => {
    if (!mounted) return;
    const hog = join(disk.directory, 'hog');
    await writeFile(hog, Buffer.alloc(4 * MIB)).catch(() => undefined);
    const store = await DiskStore.open(disk.directory, 8 * MIB, collectingLog());
    await rm(hog);
    await store.set(entryOf('k'));
    expect(await store.get('k')).toBeDefined();
    await store.close();
  });

  it('reads on while the file system is read-only, and writes again when it is not', async () => {
    if (!mounted) return;
    let now = 0;
    const filled = await DiskStore.open(disk.directory, MIB, collectingLog());
    for (let i = 0; i < 95; i++) await filled.set(entryOf(`old${i}`, { body: Buffer.alloc(10_000) }));
    await filled.close();
    const entries = await DiskStore.open(disk.directory, MIB, collectingLog(), { now: () => now });
    await entries.loaded;
    const bodies = await openBodyStore(join(disk.directory, 'bodies'), MIB, collectingLog(), { now: () => now });
    const content = randomBytes(600_000);
    const id = await keep(bodies, content);
    const before = entries.usage();

    disk.remount('ro');
    await expect(entries.set(entryOf('new'))).rejects.toThrow('EROFS');
    await expect(entries.set(entryOf('new'))).rejects.toThrow('does not take writes');
    expect(await entries.get('old90')).toBeDefined();
    await expect(entries.delete('old90')).rejects.toThrow();
    expect(await entries.get('old90')).toBeUndefined();
    expect(entries.usage()).toEqual({ ...before, entries: before.entries - 1 });
    await expect(bodies.create(600_000)).rejects.toThrow('EROFS');
    expect((await contentOf(bodies, id))?.equals(content)).toBe(true);
    expect([entries.healthy(), bodies.healthy()]).toEqual([false, false]);

    disk.remount('rw');
    now += RETRY_MS;
    await entries.set(entryOf('new'));
    expect(await entries.get('new')).toBeDefined();
    const next = randomBytes(600_000);
    expect((await contentOf(bodies, await keep(bodies, next)))?.equals(next)).toBe(true);
    expect([entries.healthy(), bodies.healthy()]).toEqual([true, true]);
    await entries.close();
    await bodies.close();
  });
});

describe('bits that flip on the disk', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mlcdn-flips-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('never make a body wrong: it is read whole, or its stream breaks off, or it is not there', async () => {
    const bytes = 600_000;
    const content = randomBytes(bytes);
    const first = await openBodyStore(directory, 8 * MIB, collectingLog());
    const id = await keep(first, content);
    await first.close();
    const path = join(directory, `${id}.body`);
    const pristine = await readFile(path);

    const anywhere = fc.nat(pristine.length * 8 - 1);
    const inTrailer = fc.integer({ min: bytes * 8, max: pristine.length * 8 - 1 });
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.oneof(anywhere, inTrailer), { minLength: 1, maxLength: 3 }), async (bits) => {
        const damaged = Buffer.from(pristine);
        for (const bit of bits) damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        await writeFile(path, damaged);
        const store = await openBodyStore(directory, 8 * MIB, collectingLog());
        const found = await contentOf(store, id).catch((error: Error) => error.message);
        expect(found === undefined || typeof found === 'string').toBe(true);
        expect(store.usage().corrupt).toBe(1);
        expect(await stat(path).catch(() => undefined)).toBeUndefined();
        await store.close();
      }),
      { numRuns: 200 },
    );
  });

  it('do not let a scan take for a record what lies inside the body of an entry', async () => {
    const segments = async () => (await readdir(directory)).filter((name) => name.endsWith('.segment'));
    const store = await DiskStore.open(directory, 8 * MIB, collectingLog());
    await store.set(entryOf('planted', { body: Buffer.from('a lie') }));
    const record = await readFile(join(directory, (await segments())[0] ?? ''));
    await store.clear();
    await store.set(entryOf('carrier', { body: record }));
    await store.close();
    const path = join(directory, (await segments())[0] ?? '');
    const bytes = await readFile(path);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    await writeFile(path, bytes);
    const next = await DiskStore.open(directory, 8 * MIB, collectingLog());
    await next.loaded;
    expect(await next.get('planted')).toBeUndefined();
    expect(await next.get('carrier')).toBeUndefined();
    await next.close();
  });
});
