import { CacheState } from '../../../../containers/edge/cache/cache-state';
import { createEdgeCache } from '../../../../containers/edge/cache/edge-cache';
import { decodeEntry, encodeEntry } from '../../../../containers/edge/cache/entry-codec';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { KeyInvalidation } from '../../../../containers/edge/cache/key-invalidation';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type {
  BoundedStore,
  CacheEntry,
  CacheStore,
  EdgeCache,
  Filled,
  Position,
} from '../../../../containers/edge/cache/types';
import { Outbox } from '../../../../containers/edge/control/outbox';
import type { ControlMessage } from '../../../../lib/core/control-message';
import { collectingLog, type deferred } from './fixtures';

/** A tier that outlives the process that uses it. */
export function lastingStore(tier: CacheStore['tier'], held: Map<string, CacheEntry>): BoundedStore {
  return {
    tier,
    get: (key) => held.get(key),
    // Through its bytes, as every lasting tier: what belongs to one process only is lost.
    set: (entry) => void held.set(entry.key, decodeEntry(encodeEntry(entry))),
    delete: (key) => void held.delete(key),
    clear: () => held.clear(),
    close: async () => undefined,
    usage: () => ({ bytes: 0, entries: held.size, evictions: 0, corrupt: 0 }),
  };
}

/** The region's log, as the append script keeps it. */
export class Log {
  epoch = 'epoch 0';
  head = 0;
  retained: { seq: number; message: ControlMessage }[] = [];
  #flushes = 0;

  readonly #seen = new Map<string, number>();

  /** Once for each message id; `appended` is false when it stood there already. */
  append(message: ControlMessage): { readonly position: Position; readonly appended: boolean } {
    const known = this.#seen.get(message.id);
    if (known !== undefined) return { position: { epoch: this.epoch, seq: known }, appended: false };
    this.retained.push({ seq: ++this.head, message });
    this.#seen.set(message.id, this.head);
    return { position: { epoch: this.epoch, seq: this.head }, appended: true };
  }
  trim(keep: number): void {
    for (const { message } of this.retained.splice(0, Math.max(0, this.retained.length - keep))) {
      this.#seen.delete(message.id);
    }
  }
  flush(): void {
    this.epoch = `epoch ${++this.#flushes}`;
    this.head = 0;
    this.retained = [];
    this.#seen.clear();
  }
}

interface PendingFill {
  readonly key: string;
  readonly value: number;
  readonly origin: ReturnType<typeof deferred<Filled>>;
}

export type Append = (message: ControlMessage) => Position;

/** What the tasks of a region share. */
export interface SharedByTasks {
  readonly log: Log;
  readonly l1: Map<string, CacheEntry>;
  readonly time: { readonly now: number };
  readonly append: Append;
}

/** One edge task: a cache, the state its log follower drives, and fills that wait for the origin. */
export class Task {
  readonly #log: Log;
  readonly index: InvalidationIndex;
  readonly #outbox = new Outbox();
  readonly #append: Append;
  /** What this task itself has invalidated: it must not answer with less, connected or not. */
  readonly oldestAllowed = new Map<string, number>();
  readonly #memory = createMemoryStore(1_000_000);
  readonly state: CacheState;
  readonly cache: EdgeCache;
  readonly fills: PendingFill[] = [];
  readonly #announced: { epoch: string; seq: number; message: ControlMessage }[] = [];
  connected = false;

  constructor({ log, l1, time, append }: SharedByTasks, l2: Map<string, CacheEntry>, inherited: Task | undefined) {
    this.#log = log;
    this.#append = append;
    const clock = () => time.now;
    this.index = new InvalidationIndex({ epoch: 'none', seq: 0 }, { limits: { names: 3, bans: 2, epochs: 3 }, clock });
    if (inherited) this.index.restore(inherited.index.snapshot());
    const checkpoint = inherited?.state.checkpoint();
    const disk = lastingStore('l2', l2);
    const journal = { restored: checkpoint, message() {}, continueAs() {}, rewrite() {}, async close() {} };
    this.state = new CacheState({
      index: this.index,
      journal,
      dropLocalTiers: () => {
        void this.#memory.clear();
        void disk.clear();
      },
      onControlMessage: () => undefined,
    });
    const mayUseLasting = () => this.state.hasCaughtUp();
    const keyInvalidation = new KeyInvalidation(
      this.index,
      (message, onApplied) => {
        this.#outbox.add(message, onApplied);
        this.#send();
      },
      collectingLog(),
      { maxUnderWay: 3, gatherMs: 0 },
    );
    this.cache = createEdgeCache({
      memory: this.#memory,
      l1: lastingStore('l1', l1),
      l2: disk,
      index: this.index,
      mayUseLasting,
      clock,
      invalidateKeys: (keys) => keyInvalidation.invalidate(keys),
    });
  }

  #send(): void {
    if (this.connected) void this.#outbox.send(async (message) => this.#append(message));
  }

  #apply(message: ControlMessage, position: Position): void {
    this.state.apply(message, position);
    this.#outbox.applied(message.id);
  }

  /** As at a heartbeat: what the log has moved past is done, what stood in a lost log is sent again. */
  settleOutbox(): void {
    this.#outbox.reached(this.state.checkpoint().position);
    if (this.#outbox.hasUnsent()) this.#send();
  }

  announce(message: ControlMessage): void {
    if (this.connected) this.#announced.push({ epoch: this.#log.epoch, seq: this.#log.head, message });
  }

  /** Applies what was announced, twice over when `duplicate`, and notices at its heartbeat that the log was lost. */
  deliver(duplicate: boolean): void {
    const announced = this.#announced.splice(0);
    for (const item of duplicate ? [...announced, ...announced] : announced) {
      const here = this.state.checkpoint().position;
      if (item.epoch !== here.epoch && item.seq === 1) this.state.continueAs(item.epoch);
      const { epoch, seq } = this.state.checkpoint().position;
      if (item.epoch === epoch && item.seq === seq + 1) this.#apply(item.message, { epoch, seq: item.seq });
    }
    const wasFlushed = this.connected && this.state.checkpoint().position.epoch !== this.#log.epoch;
    if (wasFlushed && this.#log.head === 0) this.state.continueAs(this.#log.epoch);
    this.settleOutbox();
  }

  disconnect(): void {
    this.connected = false;
    this.#announced.length = 0;
  }

  /** Connects and replays, by the follower's rules. */
  connect(): void {
    if (this.connected) return;
    this.connected = true;
    const { epoch, head, retained } = this.#log;
    if (this.state.checkpoint().position.epoch !== epoch) this.state.restartAt({ epoch, seq: 0 });
    for (const { seq, message } of retained) {
      const applied = this.state.checkpoint().position.seq;
      if (seq <= applied) continue;
      if (seq > applied + 1) this.state.restartAt({ epoch, seq: seq - 1 });
      this.#apply(message, { epoch, seq });
    }
    if (this.state.checkpoint().position.seq < head) this.state.restartAt({ epoch, seq: head });
    this.state.caughtUp();
    this.#outbox.startAgain();
    this.#send();
  }
}
