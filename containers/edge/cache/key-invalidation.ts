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
  #underWay = 0;
  /** Mark of the invalidation of everything that is under way. */
  #everything: { readonly sentAt: number; markedAt: number } | undefined;

  constructor(index: InvalidationIndex, append: AppendMessage, log: Logger, maxUnderWay = MAX_UNDER_WAY) {
    this.#index = index;
    this.#append = append;
    this.#log = log;
    this.#maxUnderWay = maxUnderWay;
  }

  /** Makes keys and all their variants invalid. Throws a RangeError for an empty key. */
  invalidate(keys: readonly string[]): void {
    if (keys.includes('')) throw new RangeError('invalidateKeys: a key is empty; a key has at least one character');
    if (keys.length === 0) return;
    const isTooMuch = this.#everything !== undefined || this.#underWay + keys.length > this.#maxUnderWay;
    if (isTooMuch) this.#invalidateEverything();
    else this.#invalidateEach(keys);
  }

  #invalidateEach(keys: readonly string[]): void {
    const place = this.#index.mark(keys);
    this.#underWay += keys.length;
    const messages = messagesFor(keys);
    let left = messages.length;
    for (const message of messages) {
      this.#append(message, () => {
        left -= 1;
        if (left > 0) return;
        this.#underWay -= keys.length;
        this.#index.unmark(keys, place);
      });
    }
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
