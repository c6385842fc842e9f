import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlMessage, InvalidateMessage } from '../../../lib/core/control-message';
import type { Checkpoint, Logger, MessageKeeper } from '../control/types';
import type { InvalidationIndex } from './invalidation-index';
import { encodeLine, type JournalLine, readLines } from './journal-lines';

/** The journal is rewritten as one snapshot when it has grown by this much since the last. */
const COMPACT_AFTER_BYTES = 4 * 1024 * 1024;
const RETRY_MS = 5_000;
/** A disk that takes longer for one write does not answer, ms. */
const DEADLINE_MS = 5_000;
/** Lines beyond this, behind a disk that does not answer, become part of a snapshot to come. */
const MAX_QUEUED = 10_000;
/** Begins the name of the log that a service without Redis keeps for itself. */
export const OWN_LOG = 'own:';

/** How a journal is opened. */
export interface ControlJournalOptions {
  /** Pause before a disk that refused is tried again, ms. */
  readonly retryMs?: number | undefined;
}

/**
 * Opens `control.journal` in `directory`, restores `index` from it and rewrites it as one snapshot. A disk that refuses
 * that is tried again while the journal is in use; what it held is restored all the same.
 */
export async function openControlJournal(
  directory: string,
  index: InvalidationIndex,
  log: Logger,
  { retryMs }: ControlJournalOptions = {},
): Promise<ControlJournal> {
  const journal = new ControlJournal(directory, index, log, retryMs);
  await journal.open(() => true);
  return journal;
}

/**
 * Remembers beside the disk tier what the index knows, so that the entries of the process before stay usable, and which
 * messages of this process's own may not stand in the control log yet: a snapshot first and every change after it. A
 * crash may lose the last lines; then the journal stands at an earlier position and the follower replays the control
 * log from there. While the disk refuses, nothing is lost but time: the next snapshot says it all.
 */
export class ControlJournal implements MessageKeeper {
  readonly #path: string;
  readonly #index: InvalidationIndex;
  readonly #log: Logger;
  readonly #retryMs: number;
  readonly #unsent = new Map<string, InvalidateMessage>();
  #restored: Checkpoint | undefined;
  #messageId: string | undefined;
  /** Absent before the journal is opened and while the disk refuses. */
  #file: FileHandle | undefined;
  #appendedBytes = 0;
  #queue: string[] = [];
  #rewriteWanted = false;
  #writing: Promise<void> = Promise.resolve();
  #isScheduled = false;
  /** When the write that is under way began, by `performance.now()`. */
  #busySince: number | undefined;
  #refused = false;
  #retry: NodeJS.Timeout | undefined;

  /** A journal that keeps nothing on the disk before it is opened. */
  constructor(directory: string, index: InvalidationIndex, log: Logger, retryMs = RETRY_MS) {
    this.#path = join(directory, 'control.journal');
    this.#index = index;
    this.#log = log;
    this.#retryMs = retryMs;
  }

  /** Where the journal stood when the index was restored from it; `undefined` when it was not. */
  get restored(): Checkpoint | undefined {
    return this.#restored;
  }

  /** False while nothing is written: before the journal is opened, while the disk refuses, or does not answer. */
  healthy(): boolean {
    const isHanging = this.#busySince !== undefined && performance.now() - this.#busySince > DEADLINE_MS;
    return this.#file !== undefined && !this.#refused && !isHanging;
  }

  /**
   * Takes over the file, once its directory is this process's alone. An index that is in use by the time the file has
   * been read is not restored: it keeps what it knows, and the file is written from that. Resolves with the messages in
   * the file that may not stand in the control log yet. Never rejects.
   */
  async open(isIndexUnused: () => boolean): Promise<readonly InvalidateMessage[]> {
    const lines = await readLines(this.#path, this.#log).catch((error: unknown) => {
      this.#log.error({ err: error, path: this.#path }, 'control journal cannot be read; starting over');
      return [];
    });
    if (isIndexUnused()) this.#restored = restoreFrom(lines, this.#index);
    this.#messageId = this.#restored?.messageId;
    const inherited = unsentOf(lines).filter(({ id }) => !this.#unsent.has(id));
    for (const message of inherited) this.#unsent.set(message.id, message);
    await this.#inTurn(() => this.#startOver());
    return inherited;
  }

  message(message: ControlMessage, position: Checkpoint['position']): void {
    this.#messageId = message.id;
    this.#unsent.delete(message.id);
    this.#append({ kind: 'message', message, position });
  }

  continueAs(epoch: string): void {
    this.#messageId = undefined;
    this.#append({ kind: 'continue', epoch });
  }

  remember(message: InvalidateMessage): void {
    this.#unsent.set(message.id, message);
    this.#append({ kind: 'unsent', message });
  }

  forget(id: string): void {
    if (this.#unsent.delete(id)) this.#append({ kind: 'sent', id });
  }

  /** Starts over from what the index knows now. */
  rewrite(): void {
    this.#messageId = undefined;
    this.#rewriteWanted = true;
    if (this.#file) this.#schedule();
  }

  /** Resolves when everything handed in so far is with the operating system, or has been refused by it, or hangs. */
  async close(): Promise<void> {
    const enough = new AbortController();
    await Promise.race([
      this.#finish(),
      sleep(DEADLINE_MS, undefined, { signal: enough.signal }).catch(() => undefined),
    ]);
    enough.abort();
  }

  async #finish(): Promise<void> {
    clearTimeout(this.#retry);
    if (this.#refused) await this.#inTurn(() => this.#startOver());
    clearTimeout(this.#retry);
    await this.#writing;
    await this.#file?.close().catch(() => undefined);
    this.#file = undefined;
  }

  #append(line: JournalLine): void {
    // Otherwise the snapshot that comes first says it.
    if (!this.#file) return;
    if (this.#queue.length >= MAX_QUEUED) this.#rewriteWanted = true;
    if (this.#rewriteWanted) this.#queue = [];
    else this.#queue.push(encodeLine(line));
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    void this.#inTurn(() => {
      this.#isScheduled = false;
      return this.#write();
    });
  }

  /** One write after the other; one that the disk refuses is followed by a new start of the file. */
  #inTurn(write: () => Promise<void>): Promise<void> {
    const turn = (): Promise<void> => {
      this.#busySince = performance.now();
      return write();
    };
    this.#writing = this.#writing
      .then(turn)
      .catch((error: unknown) => this.#refuse(error))
      .finally(() => {
        this.#busySince = undefined;
      });
    return this.#writing;
  }

  async #write(): Promise<void> {
    if (!this.#file) return;
    if (this.#rewriteWanted || this.#appendedBytes > COMPACT_AFTER_BYTES) {
      await this.#startOver();
      return;
    }
    if (this.#queue.length === 0) return;
    const text = this.#queue.join('');
    this.#queue = [];
    this.#appendedBytes += text.length;
    await this.#file.appendFile(text);
  }

  /** Replaces the file in one step, so that a crash leaves the old or the new one. */
  async #startOver(): Promise<void> {
    const file = await open(`${this.#path}.new`, 'w');
    // In one step: what is queued already is in the snapshot, and what is handed in from now on belongs behind it.
    const snapshot = this.#snapshotLine();
    const before = this.#file;
    this.#file = file;
    this.#rewriteWanted = false;
    this.#queue = [];
    this.#appendedBytes = 0;
    try {
      await file.appendFile(snapshot);
      await rename(`${this.#path}.new`, this.#path);
    } finally {
      await before?.close().catch(() => undefined);
    }
    if (this.#refused) this.#log.info({ path: this.#path }, 'control journal is written again');
    this.#refused = false;
  }

  #snapshotLine(): string {
    return encodeLine({
      kind: 'snapshot',
      index: this.#index.snapshot(),
      ...(this.#messageId === undefined ? {} : { messageId: this.#messageId }),
      unsent: [...this.#unsent.values()],
    });
  }

  async #refuse(error: unknown): Promise<void> {
    if (!this.#refused) {
      this.#log.error({ err: error, path: this.#path }, 'control journal cannot be written; trying again');
    }
    this.#refused = true;
    const file = this.#file;
    this.#file = undefined;
    this.#queue = [];
    this.#retry = setTimeout(() => void this.#inTurn(() => this.#startOver()), this.#retryMs);
    this.#retry.unref();
    await file?.close().catch(() => undefined);
    await rm(`${this.#path}.new`, { force: true }).catch(() => undefined);
    // The region's log makes up for what the file lacks; a process's own has no other record.
    if (!this.#index.position().epoch.startsWith(OWN_LOG)) return;
    await rm(this.#path, { force: true }).catch(() => undefined);
  }
}

function restoreFrom(lines: readonly JournalLine[], index: InvalidationIndex): Checkpoint | undefined {
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

function unsentOf(lines: readonly JournalLine[]): InvalidateMessage[] {
  const unsent = new Map<string, InvalidateMessage>();
  for (const line of lines) {
    if (line.kind === 'snapshot') for (const message of line.unsent ?? []) unsent.set(message.id, message);
    else if (line.kind === 'unsent') unsent.set(line.message.id, line.message);
    else if (line.kind === 'sent') unsent.delete(line.id);
    else if (line.kind === 'message') unsent.delete(line.message.id);
  }
  return [...unsent.values()];
}
