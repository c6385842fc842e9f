import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { ControlMessage } from '../../../lib/core/control-message';
import type { Checkpoint, Logger } from '../control/types';
import type { InvalidationIndex } from './invalidation-index';

const Place = z.strictObject({ epoch: z.string(), seq: z.int().min(0) });
const Order = z.int().min(0);
const Snapshot = z.strictObject({
  chain: z.array(z.strictObject({ epoch: z.string(), base: Order, end: Order.nullable() })).readonly(),
  applied: Place,
  floor: Order,
  keys: z.array(z.tuple([z.string(), Order]).readonly()).readonly(),
  tags: z.array(z.tuple([z.string(), Order]).readonly()).readonly(),
  bans: z.array(z.strictObject({ kind: z.enum(['prefix', 'glob']), text: z.string(), order: Order })).readonly(),
});
const JournalLine = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('snapshot'), index: Snapshot, messageId: z.string().optional() }),
  z.strictObject({ kind: z.literal('message'), message: ControlMessage, position: Place }),
  z.strictObject({ kind: z.literal('continue'), epoch: z.string() }),
]);
type JournalLine = z.infer<typeof JournalLine>;

/** The journal is rewritten as one snapshot when it has grown by this much since the last. */
const COMPACT_AFTER_BYTES = 4 * 1024 * 1024;

/**
 * Remembers beside the disk tier what the index knows, so that the entries of the process before stay usable: lines of
 * `<crc32 hex> <json>`, a snapshot first and every change after it. A crash may lose the last lines; then the journal
 * stands at an earlier position and the follower replays the control log from there.
 */
export interface ControlJournal {
  /** Where the journal stood when it was opened; `undefined` when there was none to restore. */
  readonly restored: Checkpoint | undefined;
  message(message: ControlMessage, position: Checkpoint['position']): void;
  continueAs(epoch: string): void;
  /** Starts over from what the index knows now. */
  rewrite(): void;
  /** Resolves when everything handed in so far is with the operating system. */
  close(): Promise<void>;
}

/**
 * Opens `control.journal` in `directory`, restores `index` from it and rewrites it as one snapshot. Rejects when the
 * directory cannot be written; later failures to write are logged, and cost the next process its disk tier at most.
 */
export async function openControlJournal(
  directory: string,
  index: InvalidationIndex,
  log: Logger,
): Promise<ControlJournal> {
  const path = join(directory, 'control.journal');
  const restored = restore(await readLines(path, log), index);
  let messageId = restored?.messageId;
  const snapshotLine = (): string =>
    encodeLine({ kind: 'snapshot', index: index.snapshot(), ...(messageId === undefined ? {} : { messageId }) });
  let file = await startFile(path, snapshotLine());
  let appendedBytes = 0;
  let broken = false;

  let queue: string[] = [];
  let rewriteWanted = false;
  let writing: Promise<void> = Promise.resolve();
  const write = async (): Promise<void> => {
    if (broken) return;
    try {
      if (rewriteWanted || appendedBytes > COMPACT_AFTER_BYTES) {
        // The snapshot holds what is queued already; both are taken in one step, so nothing is written twice.
        const snapshot = snapshotLine();
        rewriteWanted = false;
        queue = [];
        appendedBytes = 0;
        await file.close();
        file = await startFile(path, snapshot);
        return;
      }
      if (queue.length === 0) return;
      const text = queue.join('');
      queue = [];
      appendedBytes += text.length;
      await file.appendFile(text);
    } catch (error) {
      // A journal with a hole would claim a position it does not know; without one the next process starts afresh.
      broken = true;
      log.error({ err: error, path }, 'control journal cannot be written; the disk cache will not survive a restart');
      await rm(path, { force: true }).catch(() => undefined);
    }
  };
  const schedule = (): void => {
    writing = writing.then(write);
  };
  const append = (line: JournalLine): void => {
    queue.push(encodeLine(line));
    schedule();
  };

  return {
    restored,
    message(message, position) {
      messageId = message.id;
      append({ kind: 'message', message, position });
    },
    continueAs(epoch) {
      messageId = undefined;
      append({ kind: 'continue', epoch });
    },
    rewrite() {
      messageId = undefined;
      rewriteWanted = true;
      schedule();
    },
    async close() {
      await writing;
      await file.close().catch(() => undefined);
    },
  };
}

function restore(lines: readonly JournalLine[], index: InvalidationIndex): Checkpoint | undefined {
  const [snapshot, ...changes] = lines;
  if (snapshot?.kind !== 'snapshot') return undefined;
  index.restore(snapshot.index);
  let messageId = snapshot.messageId;
  for (const change of changes) {
    if (change.kind === 'continue') {
      index.continueAs(change.epoch);
      messageId = undefined;
    } else if (change.kind === 'message') {
      if (change.message.kind === 'invalidate') index.invalidate(change.message.targets, change.position);
      else index.advance(change.position);
      messageId = change.message.id;
    }
  }
  return { position: index.position(), ...(messageId === undefined ? {} : { messageId }) };
}

/** Replaces the journal in one step, so that a crash leaves the old or the new one. */
async function startFile(path: string, firstLine: string): Promise<FileHandle> {
  const file = await open(`${path}.new`, 'w');
  await file.appendFile(firstLine);
  await rename(`${path}.new`, path);
  return file;
}

function encodeLine(line: JournalLine): string {
  const json = JSON.stringify(line);
  return `${crc32(json).toString(16)} ${json}\n`;
}

/** The lines up to the first that is torn or damaged: what follows it cannot be placed. */
async function readLines(path: string, log: Logger): Promise<JournalLine[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const lines: JournalLine[] = [];
  for (const line of text.split('\n')) {
    if (line === '') break;
    const space = line.indexOf(' ');
    const json = line.slice(space + 1);
    const intact = crc32(json).toString(16) === line.slice(0, space);
    const parsed = intact ? JournalLine.safeParse(JSON.parse(json)) : undefined;
    if (!parsed?.success) {
      log.warn({ path, line: lines.length + 1 }, 'control journal is damaged here; going on from the line before');
      break;
    }
    lines.push(parsed.data);
  }
  return lines;
}
