import { randomUUID } from 'node:crypto';
import type { InvalidateMessage, InvalidationTargets } from '../../../lib/core/control-message';
import type { Logger } from '../control/types';
import type { InvalidationIndex } from './invalidation-index';

/** What a control message holds at most: names of a kind, and characters of a name. */
const KEYS_IN_MESSAGE = 1_000;
const PREFIXES_IN_MESSAGE = 100;
const MAX_NAME_LENGTH = 2_048;
/** Keys on their way beyond this are not remembered one by one. */
const MAX_UNDER_WAY = 10_000;

/**
 * How long keys are gathered into one message: a service through which a thousand unsafe requests a second pass is not to
 * announce a thousand messages to every task.
 */
const GATHER_MS = 10;

/** What tests narrow. */
export interface KeyInvalidationLimits {
  readonly maxUnderWay?: number;
  /** 0 hands every invalidation over at once. */
  readonly gatherMs?: number;
}

/** Takes messages into the control log; see `ControlLog.append`. */
export type AppendMessage = (message: InvalidateMessage, onApplied: () => void) => void;

/**
 * Invalidations that start in this process: at once here, by marks in the index, and everywhere as soon as their message
 * has come back through the control log. Bounded: when a log that cannot be reached makes too many of them wait, they
 * become one invalidation of everything.
 */
export class KeyInvalidation {
  readonly #index: InvalidationIndex;
  readonly #append: AppendMessage;
  readonly #log: Logger;
  readonly #maxUnderWay: number;
  readonly #gatherMs: number;
  #underWay = 0;
  /** Marked already, and not yet handed over. */
  #gathered: { readonly keys: readonly string[]; readonly place: number }[] = [];
  #gatheredKeys = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Mark of the invalidation of everything that is under way. */
  #everything: { readonly sentAt: number; markedAt: number } | undefined;

  constructor(
    index: InvalidationIndex,
    append: AppendMessage,
    log: Logger,
    { maxUnderWay = MAX_UNDER_WAY, gatherMs = GATHER_MS }: KeyInvalidationLimits = {},
  ) {
    this.#index = index;
    this.#append = append;
    this.#log = log;
    this.#maxUnderWay = maxUnderWay;
    this.#gatherMs = gatherMs;
  }

  /** Makes keys and all their variants invalid. Throws a RangeError for an empty key. */
  invalidate(keys: readonly string[]): void {
    if (keys.includes('')) throw new RangeError('invalidateKeys: a key is empty; a key has at least one character');
    if (keys.length === 0) return;
    const isTooMuch = this.#everything !== undefined || this.#underWay + keys.length > this.#maxUnderWay;
    if (isTooMuch) this.#invalidateEverything();
    else this.#invalidateEach(keys);
  }

  /**
   * Takes up invalidations that a process before this one has not seen in the log, under their own ids, so that one that
   * is there already stays one.
   */
  resume(messages: readonly InvalidateMessage[]): void {
    for (const message of messages) {
      const { keys, tags, prefixes, patterns } = message.targets;
      const namesKeysOnly = tags.length + prefixes.length + patterns.length === 0;
      const place = namesKeysOnly ? this.#index.mark(keys) : this.#index.markEverything();
      this.#underWay += keys.length;
      this.#append(message, () => {
        this.#underWay -= keys.length;
        if (namesKeysOnly) this.#index.unmark(keys, place);
        else this.#index.unmarkEverything(place);
      });
    }
  }

  /** Hands over what has been gathered. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const gathered = this.#gathered;
    if (gathered.length === 0) return;
    this.#gathered = [];
    this.#gatheredKeys = 0;
    const messages = messagesFor([...new Set(gathered.flatMap(({ keys }) => keys))]);
    let left = messages.length;
    for (const message of messages) {
      this.#append(message, () => {
        left -= 1;
        if (left > 0) return;
        for (const { keys, place } of gathered) {
          this.#underWay -= keys.length;
          this.#index.unmark(keys, place);
        }
      });
    }
  }

  #invalidateEach(keys: readonly string[]): void {
    this.#gathered.push({ keys, place: this.#index.mark(keys) });
    this.#gatheredKeys += keys.length;
    this.#underWay += keys.length;
    if (this.#gatherMs === 0 || this.#gatheredKeys >= KEYS_IN_MESSAGE) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), this.#gatherMs);
  }

  #invalidateEverything(): void {
    const place = this.#index.markEverything();
    if (this.#everything) this.#everything.markedAt = place;
    else this.#sendEverything(place);
  }

  #sendEverything(place: number): void {
    this.#log.warn(
      { underWay: this.#underWay },
      'too many invalidations wait for the control log; dropping the caches',
    );
    this.#everything = { sentAt: place, markedAt: place };
    this.#append(messageOf({ patterns: ['*'] }), () => {
      const { sentAt, markedAt } = this.#everything ?? { sentAt: place, markedAt: place };
      this.#everything = undefined;
      // What was marked after the message had been handed over may have happened after it was appended.
      if (markedAt > sentAt) this.#sendEverything(markedAt);
      else this.#index.unmarkEverything(markedAt);
    });
  }
}

function messagesFor(keys: readonly string[]): InvalidateMessage[] {
  const short = keys.filter((key) => key.length <= MAX_NAME_LENGTH);
  // A key too long for a message is invalidated with whatever begins like it.
  const prefixes = keys.filter((key) => key.length > MAX_NAME_LENGTH).map((key) => key.slice(0, MAX_NAME_LENGTH));
  return [
    ...chunks(short, KEYS_IN_MESSAGE).map((chunk) => messageOf({ keys: chunk })),
    ...chunks(prefixes, PREFIXES_IN_MESSAGE).map((chunk) => messageOf({ prefixes: chunk })),
  ];
}

function messageOf(targets: Partial<InvalidationTargets>): InvalidateMessage {
  const all = { keys: [], tags: [], prefixes: [], patterns: [], ...targets };
  return { kind: 'invalidate', id: randomUUID(), targets: all };
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < items.length; at += size) parts.push(items.slice(at, at + size));
  return parts;
}
