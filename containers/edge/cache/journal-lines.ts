import { readFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { ControlMessage, InvalidationTargets } from '../../../lib/core/control-message';
import type { Logger } from '../control/types';

const Place = z.strictObject({ epoch: z.string(), seq: z.int().min(0) });
const Order = z.int().min(0);
const Unsent = z.strictObject({ kind: z.literal('invalidate'), id: z.uuid(), targets: InvalidationTargets });
const Snapshot = z.strictObject({
  chain: z.array(z.strictObject({ epoch: z.string(), base: Order, end: Order.nullable() })).readonly(),
  applied: Place,
  floor: Order,
  keys: z.array(z.tuple([z.string(), Order]).readonly()).readonly(),
  tags: z.array(z.tuple([z.string(), Order]).readonly()).readonly(),
  bans: z.array(z.strictObject({ kind: z.enum(['prefix', 'glob']), text: z.string(), order: Order })).readonly(),
});
const JournalLine = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('snapshot'),
    index: Snapshot,
    messageId: z.string().optional(),
    unsent: z.array(Unsent).optional(),
  }),
  z.strictObject({ kind: z.literal('message'), message: ControlMessage, position: Place }),
  z.strictObject({ kind: z.literal('continue'), epoch: z.string() }),
  z.strictObject({ kind: z.literal('unsent'), message: Unsent }),
  z.strictObject({ kind: z.literal('sent'), id: z.string() }),
]);

/** A line of the control journal: a snapshot of all it knows first, and every change after it. */
export type JournalLine = z.infer<typeof JournalLine>;

/** `<crc32 hex> <json>` and a line break. */
export function encodeLine(line: JournalLine): string {
  const json = JSON.stringify(line);
  return `${crc32(json).toString(16)} ${json}\n`;
}

/**
 * The lines up to the first that is torn or damaged: what follows it cannot be placed. None where there is no file;
 * rejects when there is one and it cannot be read.
 */
export async function readLines(path: string, log: Logger): Promise<JournalLine[]> {
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
