import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type BodyStore, openBodyStore } from '../../../../containers/edge/cache/body-store';
import { FillBody, type FillBodyOptions } from '../../../../containers/edge/http-cache/fill-body';
import { collectingLog } from '../cache/fixtures';
import { contentOf, FaultyStore, KIB, MIB, NO_BOUND, turns } from './bodies';

describe('a body that is read while it arrives', () => {
  let directory: string;
  let store: BodyStore;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mlcdn-fill-'));
    store = await openBodyStore(directory, 256 * MIB, collectingLog());
  });
  afterAll(async () => {
    await store.close();
    await rm(directory, { recursive: true });
  });

  const fillBody = (options: Partial<FillBodyOptions> = {}): FillBody =>
    new FillBody({
      inlineBytes: 100 * KIB,
      bodies: undefined,
      expectedBytes: undefined,
      maxBytes: NO_BOUND,
      ...options,
    });
  const writeAll = async (body: FillBody, content: Buffer, chunkBytes = 50 * KIB): Promise<void> => {
    for (let at = 0; at < content.length; at += chunkBytes) await body.write(content.subarray(at, at + chunkBytes));
  };

  describe('is kept', () => {
    it('in memory up to the limit', async () => {
      const content = randomBytes(100 * KIB);
      const body = fillBody({ bodies: store });
      await writeAll(body, content);
      expect(await body.end()).toEqual({ kind: 'inline', bytes: content });
    });

    it('in a file beyond it', async () => {
      const content = randomBytes(100 * KIB + 1);
      const body = fillBody({ bodies: store });
      await writeAll(body, content);
      const kept = await body.end();
      if (kept.kind !== 'file') throw new Error(`kept as ${kept.kind}`);
      expect(kept.bytes).toBe(content.length);
      expect((await contentOf(store, kept.id))?.equals(content)).toBe(true);
    });

    it('not at all beyond it where there is no disk tier', async () => {
      const content = randomBytes(100 * KIB + 1);
      const body = fillBody();
      const reader = buffer(body.read());
      await writeAll(body, content);
      expect(body.joinable).toBe(false);
      expect(await body.end()).toEqual({ kind: 'passed' });
      expect((await reader).equals(content)).toBe(true);
    });

    it.each([
      ['in memory', 40 * KIB],
      ['in a file', 150 * KIB],
    ])('not when it outgrows its bound while it is %s, but passed on', async (_where, maxBytes) => {
      const content = randomBytes(300 * KIB);
      const body = fillBody({ bodies: store, maxBytes });
      const reader = buffer(body.read());
      await writeAll(body, content, 10 * KIB);
      expect(body.joinable).toBe(false);
      expect(await body.end()).toEqual({ kind: 'passed' });
      expect((await reader).equals(content)).toBe(true);
    });
  });

  describe('is whole for a reader that', () => {
    it('has not begun to read when it outgrows its bound', async () => {
      const content = randomBytes(300 * KIB);
      const body = fillBody({ bodies: store, maxBytes: 250 * KIB });
      const reader = body.read();
      await writeAll(body, content);
      await body.end();
      expect((await buffer(reader)).equals(content)).toBe(true);
    });

    it.each([
      ['begins only after the disk has failed', false],
      ['read as much as it could buffer before the disk failed', true],
    ])('%s', async (_when, begins) => {
      const content = randomBytes(900 * KIB);
      // The create, the chunks in memory, and two writes: the third fails.
      const faulty = new FaultyStore(store, 11);
      const body = fillBody({ bodies: faulty.asBodyStore(), inlineBytes: 400 * KIB });
      const reader = body.read();
      if (begins) reader.read(0);
      await writeAll(body, content);
      expect(faulty.faulted).toBe(true);
      expect(await body.end()).toEqual({ kind: 'passed' });
      expect((await buffer(reader)).equals(content)).toBe(true);
    });

    it('begins after the disk has refused to finish the file', async () => {
      const content = randomBytes(200 * KIB);
      const faulty = new FaultyStore(store, 6);
      const body = fillBody({ bodies: faulty.asBodyStore() });
      const reader = body.read();
      await writeAll(body, content);
      expect(faulty.faulted).toBe(false);
      expect(await body.end()).toEqual({ kind: 'passed' });
      expect(faulty.faulted).toBe(true);
      expect(body.joinable).toBe(false);
      expect((await buffer(reader)).equals(content)).toBe(true);
    });

    it('comes while it is in a file', async () => {
      const content = randomBytes(500 * KIB);
      const body = fillBody({ bodies: store });
      await writeAll(body, content.subarray(0, 300 * KIB));
      const reader = buffer(body.read());
      await writeAll(body, content.subarray(300 * KIB));
      await body.end();
      expect((await reader).equals(content)).toBe(true);
    });

    it('comes when it has arrived whole', async () => {
      const content = randomBytes(500 * KIB);
      const body = fillBody({ bodies: store });
      await writeAll(body, content);
      await body.end();
      expect((await buffer(body.read())).equals(content)).toBe(true);
    });
  });

  it.each([
    ['in memory', 50 * KIB],
    ['in a file', 500 * KIB],
  ])('breaks for its readers when it breaks off %s', async (_where, bytes) => {
    const body = fillBody({ bodies: store });
    const readers = [buffer(body.read()), buffer(body.read())].map((reader) => reader.catch(String));
    await writeAll(body, randomBytes(bytes));
    await body.fail(new Error('the origin has gone'));
    expect(await Promise.all(readers)).toEqual(['Error: the origin has gone', 'Error: the origin has gone']);
    expect(body.joinable).toBe(false);
  });

  it('waits for its slowest reader where it is only passed on', async () => {
    const body = fillBody({ inlineBytes: 0 });
    const reader = body.read();
    const fast = buffer(body.read());
    const content = randomBytes(6 * MIB);
    let written = 0;
    const writing = (async () => {
      for (let at = 0; at < content.length; at += 64 * KIB) {
        await body.write(content.subarray(at, at + 64 * KIB));
        written += 64 * KIB;
      }
      return body.end();
    })();
    await turns(200);
    expect(written).toBeLessThanOrEqual(1.25 * MIB + 64 * KIB);
    expect(written).toBeGreaterThanOrEqual(512 * KIB);

    const slow = buffer(reader);
    await writing;
    expect((await slow).equals(content)).toBe(true);
    expect((await fast).equals(content)).toBe(true);
  });

  it('goes on when the reader that it waits for leaves', async () => {
    const body = fillBody({ inlineBytes: 0 });
    const stalled = body.read();
    const fast = buffer(body.read());
    const content = randomBytes(4 * MIB);
    const writing = writeAll(body, content);
    await turns(100);
    stalled.destroy();
    await writing;
    await body.end();
    expect((await fast).equals(content)).toBe(true);
  });

  it('does not wait for a slow reader while it is kept', async () => {
    const content = randomBytes(4 * MIB);
    const body = fillBody({ bodies: store });
    const stalled = body.read();
    await writeAll(body, content);
    expect((await body.end()).kind).toBe('file');
    stalled.destroy();
  });

  it('is abandoned when it is not kept and its last reader leaves, and only then', async () => {
    const body = fillBody({ inlineBytes: 10 });
    const readers = [body.read(), body.read()];
    await body.write(Buffer.alloc(20));
    expect(body.abandoned).toBe(false);
    readers[0]?.destroy();
    expect(body.abandoned).toBe(false);
    readers[1]?.destroy();
    expect(body.abandoned).toBe(true);

    const kept = fillBody();
    kept.read().destroy();
    await kept.write(Buffer.alloc(20));
    expect(kept.abandoned).toBe(false);
  });
});
