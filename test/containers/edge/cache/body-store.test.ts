import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { type BodyStore, openBodyStore } from '../../../../containers/edge/cache/body-store';
import { collectingLog, until } from './fixtures';

const MIB = 1024 * 1024;

describe('the body store', () => {
  let directory: string;
  let stores: BodyStore[];
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mlcdn-bodies-'));
    stores = [];
  });
  afterEach(async () => {
    for (const store of stores) await store.close();
    await rm(directory, { recursive: true });
  });

  const open = async (maxBytes = 64 * MIB): Promise<BodyStore> => {
    const store = await openBodyStore(directory, maxBytes, collectingLog());
    stores.push(store);
    return store;
  };
  const close = async (store: BodyStore): Promise<void> => {
    await store.close();
    stores.splice(stores.indexOf(store), 1);
  };
  const keep = async (store: BodyStore, content: Buffer, chunkBytes = 60_000): Promise<string> => {
    const writer = await store.create(content.length);
    for (let at = 0; at < content.length; at += chunkBytes) await writer.write(content.subarray(at, at + chunkBytes));
    return writer.commit();
  };
  const contentOf = async (store: BodyStore, id: string, start?: number, end?: number): Promise<Buffer | undefined> => {
    const body = await store.open(id);
    if (!body) return undefined;
    const content = buffer(body.read(start, end));
    await body.close();
    return content;
  };
  const bytesOnDisk = async (): Promise<number> => {
    const names = (await readdir(directory)).filter((name) => name !== 'owner');
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  };

  it.each([0, 1, 1000, MIB, 3 * MIB + 17])('gives back a body of %d bytes under its SHA-256', async (bytes) => {
    const store = await open();
    const content = randomBytes(bytes);
    const id = await keep(store, content);
    expect(id).toBe(createHash('sha256').update(content).digest('hex'));
    expect((await contentOf(store, id))?.equals(content)).toBe(true);
    expect(store.usage()).toMatchObject({ entries: 1, bytes: await bytesOnDisk() });
  });

  it('gives back any range', async () => {
    const store = await open();
    const content = randomBytes(2 * MIB);
    const id = await keep(store, content);
    const ranges: [number, number][] = [
      [0, 1],
      [1, 300_000],
      [MIB - 1, MIB + 1],
      [MIB, 2 * MIB],
      [5, 5],
      [2 * MIB - 1, 9 * MIB],
      [3 * MIB, 4 * MIB],
    ];
    for (const [start, end] of ranges) {
      expect((await contentOf(store, id, start, end))?.equals(content.subarray(start, end))).toBe(true);
    }
  });

  it('lets readers follow a growing body, each from its own place, through the commit', async () => {
    const store = await open();
    const content = randomBytes(MIB);
    const writer = await store.create();
    const early = buffer(writer.read());
    await writer.write(content.subarray(0, 400_000));
    const late = buffer(writer.read(300_000));
    const part = buffer(writer.read(100, 200));
    const quitter = writer.read();
    quitter.once('data', () => quitter.destroy());
    expect(await part).toEqual(content.subarray(100, 200));
    await writer.write(content.subarray(400_000));
    await writer.commit();
    expect((await early).equals(content)).toBe(true);
    expect((await late).equals(content.subarray(300_000))).toBe(true);
  });

  it('gives every reader its range, however the chunks fall and whenever it comes', async () => {
    const store = await open();
    const content = randomBytes(MIB);
    const chunkBytes = fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 400_000 }));
    const reader = fc.record({
      after: fc.nat({ max: 30 }),
      start: fc.nat({ max: MIB }),
      bytes: fc.nat({ max: MIB }),
      isSlow: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(chunkBytes, { minLength: 1, maxLength: 30 }),
        fc.array(reader, { minLength: 1, maxLength: 6 }),
        async (sizes, readers) => {
          const writer = await store.create();
          const reads: Promise<void>[] = [];
          let at = 0;
          for (const [index, size] of sizes.entries()) {
            for (const { after, start, bytes, isSlow } of readers) {
              if (after % sizes.length !== index) continue;
              const read = async () => {
                const got: Buffer[] = [];
                for await (const chunk of writer.read(start, start + bytes)) {
                  got.push(chunk);
                  if (isSlow) await new Promise(setImmediate);
                }
                const whole = content.subarray(0, Math.min(at, MIB));
                expect(Buffer.concat(got).equals(whole.subarray(start, start + bytes))).toBe(true);
              };
              reads.push(read());
            }
            const chunk = content.subarray(at, at + size);
            at += chunk.length;
            await writer.write(chunk);
          }
          await writer.commit();
          await Promise.all(reads);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('goes on reading for whoever comes after the commit', async () => {
    const store = await open();
    const content = randomBytes(MIB);
    const writer = await store.create();
    await writer.write(content);
    await writer.commit();
    expect((await buffer(writer.read(10, 700_000))).equals(content.subarray(10, 700_000))).toBe(true);
  });

  it('gives readers everything that was written before it tells them that the body failed', async () => {
    const store = await open();
    const content = randomBytes(200_001);
    const writer = await store.create();
    await writer.write(content);
    const reader = writer.read();
    await writer.abort(new Error('the origin hung up'));
    const got: Buffer[] = [];
    await expect(
      (async () => {
        for await (const chunk of reader) got.push(chunk);
      })(),
    ).rejects.toThrow('the origin hung up');
    expect(Buffer.concat(got).equals(content)).toBe(true);
  });

  it('fails the readers of a body that is given up, and leaves no file', async () => {
    const store = await open();
    const writer = await store.create();
    await writer.write(Buffer.alloc(10));
    const read = buffer(writer.read());
    await writer.abort(new Error('the origin hung up'));
    await expect(read).rejects.toThrow('the origin hung up');
    await expect(writer.write(Buffer.alloc(1))).rejects.toThrow('the origin hung up');
    expect(await bytesOnDisk()).toBe(0);
    expect(store.usage()).toMatchObject({ bytes: 0, entries: 0 });
  });

  it('does not let a reader that stands still hold up the others', async () => {
    const store = await open();
    const content = randomBytes(4 * MIB);
    const writer = await store.create();
    const still: Readable = writer.read();
    const read = buffer(writer.read());
    for (let at = 0; at < content.length; at += 65_536) await writer.write(content.subarray(at, at + 65_536));
    await writer.commit();
    expect((await read).equals(content)).toBe(true);
    expect(still.readableLength).toBeLessThan(MIB);
    expect((await buffer(still)).equals(content)).toBe(true);
  });

  it('keeps a body once that is stored twice, whoever deletes it', async () => {
    const store = await open();
    const content = randomBytes(MIB);
    const id = await keep(store, content);
    expect(await keep(store, content)).toBe(id);
    expect(store.usage()).toMatchObject({ entries: 1, bytes: await bytesOnDisk() });
    await store.delete(id);
    expect((await contentOf(store, id))?.equals(content)).toBe(true);
  });

  it('stays within its bound, giving up first what was deleted and last what is read', async () => {
    const store = await open(4 * MIB);
    const contents = Array.from({ length: 12 }, () => randomBytes(MIB - 1000));
    const read = await keep(store, contents[0] ?? Buffer.alloc(0));
    const unread = await keep(store, contents[1] ?? Buffer.alloc(0));
    const deleted = await keep(store, contents[2] ?? Buffer.alloc(0));
    await contentOf(store, read);
    await store.delete(deleted);
    await keep(store, contents[3] ?? Buffer.alloc(0));
    await keep(store, contents[4] ?? Buffer.alloc(0));
    expect(await store.open(deleted)).toBeUndefined();
    expect(await contentOf(store, unread)).toBeDefined();
    for (const content of contents.slice(5)) {
      await contentOf(store, read);
      await keep(store, content);
      expect(await bytesOnDisk()).toBeLessThanOrEqual(4 * MIB);
      expect(store.usage().bytes).toBe(await bytesOnDisk());
    }
    expect((await contentOf(store, read))?.equals(contents[0] ?? Buffer.alloc(0))).toBe(true);
    expect(store.usage().evictions).toBe(12 - store.usage().entries);
  });

  it('does not give up a body that is being read, and says when there is no room beside it', async () => {
    const store = await open(2 * MIB);
    const content = randomBytes(1.5 * MIB);
    const body = await store.open(await keep(store, content));
    await expect(store.create(MIB)).rejects.toThrow('no room');
    const read = buffer(body?.read() as Readable);
    await body?.close();
    expect((await read).equals(content)).toBe(true);
    await keep(store, randomBytes(MIB));
    expect(store.usage()).toMatchObject({ entries: 1, evictions: 1 });
  });

  it('refuses a body larger than itself, when it is announced and when it turns out so', async () => {
    const store = await open(MIB);
    await expect(store.create(2 * MIB)).rejects.toThrow('larger than the store');
    const writer = await store.create();
    await writer.write(Buffer.alloc(MIB / 2));
    await expect(writer.write(Buffer.alloc(MIB))).rejects.toThrow('larger than the store');
    expect(store.usage().bytes).toBe(0);
    await expect(keep(store, randomBytes(MIB / 2))).resolves.toBeDefined();
  });

  it('finds after a restart what was whole, and clears away what was not', async () => {
    const store = await open();
    const content = randomBytes(MIB);
    const id = await keep(store, content);
    await close(store);
    await writeFile(join(directory, 'of-a-dead-process-0.partial'), 'half a bo');
    const next = await open();
    expect((await contentOf(next, id))?.equals(content)).toBe(true);
    await until(async () => (await readdir(directory)).length === 2);
    await until(() => next.usage().entries === 1);
    expect(next.usage().bytes).toBe(await bytesOnDisk());
  });

  it('stops at a damaged block, and drops the body', async () => {
    const store = await open();
    const content = randomBytes(MIB);
    const id = await keep(store, content);
    const path = join(directory, `${id}.body`);
    const bytes = await readFile(path);
    bytes[700_000] = (bytes[700_000] ?? 0) ^ 4;
    await writeFile(path, bytes);
    expect((await contentOf(store, id, 0, 500_000))?.equals(content.subarray(0, 500_000))).toBe(true);
    await expect(contentOf(store, id)).rejects.toThrow('damaged');
    expect(await store.open(id)).toBeUndefined();
    expect(store.usage()).toMatchObject({ corrupt: 1, entries: 0, bytes: 0 });
    expect(await bytesOnDisk()).toBe(0);
  });
});
