import type { ControlMessage } from '../../../lib/core/control-message';
import type { Checkpoint, LogState } from '../control/types';
import type { ControlJournal } from './control-journal';
import type { InvalidationIndex } from './invalidation-index';
import type { Position } from './types';

/** What a cache state acts on. */
export interface CacheStateParts {
  readonly index: InvalidationIndex;
  /** Only with a disk tier. */
  readonly journal?: Pick<ControlJournal, 'restored' | 'message' | 'continueAs' | 'rewrite'> | undefined;
  /** Drops the entries of the memory and disk tiers; the index has made them invalid already. */
  readonly dropLocalTiers: () => void;
  readonly onControlMessage: (message: ControlMessage) => void;
}

/** What the control log keeps true for the cache: index and journal in step, messages for the service passed on. */
export class CacheState implements LogState {
  readonly #parts: CacheStateParts;
  #checkpoint: Checkpoint;
  #caughtUp = false;
  /** While history is replayed: the newest message of each kind for each model. */
  #replayed: Map<string, ControlMessage> | undefined = new Map();

  constructor(parts: CacheStateParts) {
    this.#parts = parts;
    this.#checkpoint = parts.journal?.restored ?? { position: parts.index.position() };
  }

  /** False until the log has been caught up with once: until then, what outlived this process cannot be judged. */
  hasCaughtUp(): boolean {
    return this.#caughtUp;
  }

  checkpoint(): Checkpoint {
    return this.#checkpoint;
  }

  apply(message: ControlMessage, position: Position): void {
    if (message.kind === 'invalidate') this.#parts.index.invalidate(message.targets, position);
    else this.#parts.index.advance(position);
    this.#checkpoint = { position, messageId: message.id };
    this.#parts.journal?.message(message, position);
    if (message.kind !== 'invalidate') this.#passOn(message);
  }

  continueAs(epoch: string): void {
    this.#parts.index.continueAs(epoch);
    this.#checkpoint = { position: this.#parts.index.position() };
    this.#parts.journal?.continueAs(epoch);
  }

  restartAt(from: Position): void {
    this.#parts.index.restartAt(from);
    this.#checkpoint = { position: from };
    this.#parts.journal?.rewrite();
    this.#parts.dropLocalTiers();
    this.#replayed ??= new Map();
  }

  caughtUp(): void {
    this.#caughtUp = true;
    const replayed = this.#replayed;
    this.#replayed = undefined;
    for (const message of replayed?.values() ?? []) this.#parts.onControlMessage(message);
  }

  /** Of a replayed history only the last word on each model matters: nobody wants last year's versions prepared. */
  #passOn(message: Exclude<ControlMessage, { kind: 'invalidate' }>): void {
    if (!this.#replayed) {
      this.#parts.onControlMessage(message);
      return;
    }
    const name = `${message.kind} ${message.model}`;
    this.#replayed.delete(name);
    this.#replayed.set(name, message);
  }
}
