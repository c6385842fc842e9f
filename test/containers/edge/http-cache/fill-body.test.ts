import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { type BodyStore, openBodyStore } from '../../../../containers/edge/cache/body-store';
import { FillBody, type FillBodyOptions, type KeptBody } from '../../../../containers/edge/http-cache/fill-body';
import { collectingLog } from '../cache/fixtures';

const KIB = 1024;
const MIB = 1024 * KIB;
const NO_BOUND = Number.POSITIVE_INFINITY;

/** A body store whose operation number `failingOperation` (of creates, writes and commits) fails, as on a full disk. */
class FaultyStore {
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

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

async function contentOf(store: BodyStore, id: string): Promise<Buffer | undefined> {
  const stored = await store.open(id);
  if (!stored) return undefined;
  const content = await buffer(stored.read());
  await stored.close();
  return content;
}

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

  describe('whatever its chunks, its limits, the disk and its readers', () => {
    interface ReaderPlan {
      readonly joinAfterTurns: number;
      readonly beginAfterTurns: number;
      readonly turnsPerChunk: number;
      readonly leaveAfterBytes: number | undefined;
    }
    type Outcome = 'whole' | 'broken' | 'left';

    const chunkBytes = fc.oneof(
      fc.nat(100),
      fc.integer({ min: 1, max: 64 * KIB }),
      fc.integer({ min: 1, max: 600 * KIB }),
    );
    const readerPlan: fc.Arbitrary<ReaderPlan> = fc.record({
      joinAfterTurns: fc.oneof(fc.constant(0), fc.nat(40)),
      beginAfterTurns: fc.oneof(fc.constant(0), fc.nat(60)),
      turnsPerChunk: fc.nat(4),
      leaveAfterBytes: fc.option(fc.nat(2 * MIB), { nil: undefined, freq: 4 }),
    });
    const plan = fc.record({
      chunks: fc.array(chunkBytes, { maxLength: 14 }),
      inlineBytes: fc.oneof(fc.nat(200), fc.nat(2 * MIB)),
      maxBytes: fc.oneof({ weight: 2, arbitrary: fc.constant(NO_BOUND) }, { weight: 1, arbitrary: fc.nat(4 * MIB) }),
      disk: fc.oneof(
        fc.constant('none' as const),
        fc.constant('sound' as const),
        fc.record({ failingOperation: fc.integer({ min: 1, max: 16 }) }),
      ),
      breaksOffAfter: fc.option(fc.nat(14), { nil: undefined, freq: 5 }),
      readers: fc.array(readerPlan, { minLength: 1, maxLength: 4 }),
    });

    const readTo = async (stream: Readable, plan: ReaderPlan): Promise<{ outcome: Outcome; bytes: Buffer }> => {
      const { beginAfterTurns, turnsPerChunk, leaveAfterBytes = NO_BOUND } = plan;
      stream.on('error', () => undefined);
      await turns(beginAfterTurns);
      const chunks: Buffer[] = [];
      let taken = 0;
      try {
        if (leaveAfterBytes === 0) stream.destroy();
        for await (const chunk of stream) {
          chunks.push(chunk as Buffer);
          taken += (chunk as Buffer).length;
          if (taken >= leaveAfterBytes) return { outcome: 'left', bytes: Buffer.concat(chunks) };
          await turns(turnsPerChunk);
        }
        return { outcome: 'whole', bytes: Buffer.concat(chunks) };
      } catch {
        return { outcome: leaveAfterBytes === 0 ? 'left' : 'broken', bytes: Buffer.concat(chunks) };
      }
    };

    it('every reader that stays gets exactly the body, or an error where the body or the disk failed it', async () => {
      const seen = new Set<string>();
      await fc.assert(
        fc.asyncProperty(plan, async ({ chunks, inlineBytes, maxBytes, disk, breaksOffAfter, readers }) => {
          const content = randomBytes(chunks.reduce((sum, bytes) => sum + bytes, 0));
          const faulty = new FaultyStore(store, typeof disk === 'object' ? disk.failingOperation : 0);
          const bodies = disk === 'none' ? undefined : faulty.asBodyStore();
          const body = new FillBody({ inlineBytes, maxBytes, bodies, expectedBytes: undefined });
          const first = body.read();
          let brokenOff = false;
          let isOver = false;

          const write = async (): Promise<KeptBody | undefined> => {
            let at = 0;
            for (const [i, bytes] of chunks.entries()) {
              if (i === breaksOffAfter || body.abandoned) {
                brokenOff = true;
                await body.fail(new Error('broken off'));
                return undefined;
              }
              await body.write(content.subarray(at, at + bytes));
              at += bytes;
              await turn();
            }
            return body.end();
          };
          const reading = readers.map(async (plan, i) => {
            await turns(i === 0 ? 0 : plan.joinAfterTurns);
            if (i > 0 && (isOver || !body.joinable)) return;
            const cameToBrokenDisk = i > 0 && faulty.faulted;
            const { outcome, bytes } = await readTo(i === 0 ? first : body.read(), plan);
            seen.add(outcome);
            // Whatever came, whole or not, is the body's beginning.
            expect(bytes.equals(content.subarray(0, bytes.length))).toBe(true);
            if (outcome === 'whole') expect([brokenOff, bytes.length]).toEqual([false, content.length]);
            if (outcome === 'broken') expect(brokenOff || cameToBrokenDisk).toBe(true);
          });
          const writing = write().finally(() => {
            isOver = true;
          });
          const [kept] = await Promise.all([writing, ...reading]);

          seen.add(kept?.kind ?? 'nothing');
          if (kept?.kind === 'inline') {
            expect(kept.bytes.equals(content)).toBe(true);
            expect(content.length).toBeLessThanOrEqual(Math.min(inlineBytes, maxBytes));
          }
          if (kept?.kind === 'file') {
            expect([kept.bytes, content.length <= maxBytes]).toEqual([content.length, true]);
            expect((await contentOf(store, kept.id))?.equals(content)).toBe(true);
          }
          if (kept?.kind === 'passed') {
            const mayKeep = content.length <= maxBytes && (content.length <= inlineBytes || disk !== 'none');
            expect(mayKeep && !faulty.faulted).toBe(false);
          }
        }),
        { numRuns: 150 },
      );
      expect([...seen].sort()).toEqual(['broken', 'file', 'inline', 'left', 'nothing', 'passed', 'whole']);
    }, 120_000);
  });
});
