import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { type BodyStore, openBodyStore } from '../../../../containers/edge/cache/body-store';
import { FillBody, type KeptBody } from '../../../../containers/edge/http-cache/fill-body';
import { collectingLog } from '../cache/fixtures';
import { contentOf, FaultyStore, KIB, MIB, NO_BOUND, turns } from './bodies';

describe('whatever the chunks, limits, disk and readers of a body are', () => {
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
