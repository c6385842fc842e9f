import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
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
  FillTicket,
  Position,
} from '../../../../containers/edge/cache/types';
import { Outbox } from '../../../../containers/edge/control/outbox';
import type { ControlMessage, InvalidateMessage } from '../../../../lib/core/control-message';
import { collectingLog, deferred } from './fixtures';

/** A tier that outlives the process that uses it. */
function lastingStore(tier: CacheStore['tier'], held: Map<string, CacheEntry>): BoundedStore {
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
class Log {
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

type Append = (message: ControlMessage) => Position;

/** One edge task: a cache, the state its log follower drives, and fills that wait for the origin. */
class Task {
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

  constructor(
    { log, l1, time, append }: Pick<Region, 'log' | 'l1' | 'time' | 'append'>,
    l2: Map<string, CacheEntry>,
    inherited: Task | undefined,
  ) {
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

const KEYS = ['a/1', 'a/2', 'b/1', 'a/1\nvariant'];
const MINUTE = 60_000;
const baseKeyOf = (key: string) => key.replace(/\n.*/, '');
const tagOf = (key: string) => `tag:${key.slice(0, 1)}`;
const targetKinds = ['keys', 'tags', 'prefixes', 'patterns'] as const;
const nameFor = {
  keys: baseKeyOf,
  tags: tagOf,
  prefixes: (key: string) => key.slice(0, 2),
  patterns: (key: string) => `${key.slice(0, 1)}*`,
};

const task = fc.nat(1);
const key = fc.constantFrom(...KEYS);
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('ask' as const), task, key }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('answer' as const), task, which: fc.nat(9) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('invalidate' as const), key, kind: fc.constantFrom(...targetKinds) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('deliver' as const), task, duplicate: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('disconnect' as const), task }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('connect' as const), task }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), task, keepDisk: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('trim' as const), keep: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('find' as const), task, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), task, which: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('invalidate here' as const), task, key }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('pass' as const), minutes: fc.constantFrom(5, 15, 25, 70) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function isNamedBy({ targets }: InvalidateMessage, name: string): boolean {
  const base = baseKeyOf(name);
  const { keys, tags, prefixes, patterns } = targets;
  if (keys.includes(base) || tags.includes(tagOf(name))) return true;
  return [...prefixes, ...patterns].some((each) => each === '*' || each[0] === name[0]);
}

/** Lets every promise that can go on without the outside world go on. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Two tasks over one L1 and one log; the origin's truth moves with every invalidation of a key. */
class Region {
  readonly log = new Log();
  readonly l1 = new Map<string, CacheEntry>();
  readonly time = { now: 1_000_000_000 };
  readonly disks = [new Map<string, CacheEntry>(), new Map<string, CacheEntry>()];
  readonly tasks: Task[];
  readonly truth = new Map(KEYS.map((name) => [name, 0]));
  readonly violations: string[] = [];
  readonly #truthAt = new Map<string, Map<string, number>>();
  /** What every task that has applied the log up to its head must not answer with less than. */
  readonly #acknowledged = new Map<string, number>();
  hits = 0;
  staleHits = 0;
  hitsAfterInvalidation = 0;

  constructor() {
    this.tasks = this.disks.map((disk) => new Task(this, disk, undefined));
    for (const each of this.tasks) each.connect();
  }

  async run(next: Step): Promise<void> {
    const acting = 'task' in next ? this.tasks[next.task] : undefined;
    if (next.do === 'ask' && acting) await this.#ask(acting, next.key);
    if (next.do === 'answer' && acting) await this.#answer(acting, next.which);
    if (next.do === 'invalidate') this.#invalidate(next.key, next.kind);
    if (next.do === 'find' && acting) await this.#find(acting, next.key);
    if (next.do === 'fail' && acting) this.#fail(acting, next.which);
    if (next.do === 'invalidate here' && acting) this.#invalidateHere(acting, next.key);
    if (next.do === 'pass') {
      this.time.now += next.minutes * MINUTE;
      for (const each of this.tasks) each.index.forgetExpired();
    }
    if (next.do === 'deliver') acting?.deliver(next.duplicate);
    if (next.do === 'disconnect') acting?.disconnect();
    if (next.do === 'connect') acting?.connect();
    if (next.do === 'restart') this.#restart(next.task, next.keepDisk);
    if (next.do === 'trim') this.log.trim(next.keep);
    if (next.do === 'flush') {
      this.log.flush();
      this.#noteTruth();
      this.l1.clear();
    }
    await settle();
  }

  /** An answer must not be older than the last invalidation that the task had applied when it was asked. */
  async #ask(asked: Task, name: string): Promise<void> {
    const oldestAllowed = this.#oldestAllowed(asked, name);
    const origin = deferred<Filled>();
    const answer = asked.cache.getOrFill(name, () => {
      // The origin reads its data when it is asked, and answers when the schedule says.
      asked.fills.push({ key: name, value: this.truth.get(name) ?? 0, origin });
      return origin.promise;
    });
    answer.then(
      ({ body, tier, stale }) => {
        const value = Number(body.toString());
        if (tier !== 'origin') this.hits += 1;
        if (stale) this.staleHits += 1;
        if (tier !== 'origin' && value > 0) this.hitsAfterInvalidation += 1;
        this.#judge(name, tier, value, oldestAllowed);
      },
      () => undefined,
    );
  }

  /** As the HTTP cache asks: what is found may answer, fresh or stale; else the origin is asked under a ticket. */
  async #find(asked: Task, name: string): Promise<void> {
    const oldestAllowed = this.#oldestAllowed(asked, name);
    const found = await asked.cache.find(name);
    if (found) return this.#judge(name, `found in ${found.tier}`, Number(found.entry.body), oldestAllowed);
    const ticket: FillTicket = asked.cache.beginFill(name);
    const origin = deferred<Filled>();
    asked.fills.push({ key: name, value: this.truth.get(name) ?? 0, origin });
    origin.promise.then(
      (filled) => ticket.commit(filled),
      () => undefined,
    );
  }

  #oldestAllowed(asked: Task, name: string): number {
    const { epoch, seq } = asked.state.checkpoint().position;
    return Math.max(this.#truthAt.get(`${epoch}/${seq}`)?.get(name) ?? 0, asked.oldestAllowed.get(name) ?? 0);
  }

  #judge(name: string, from: string, value: number, oldestAllowed: number): void {
    if (value < oldestAllowed) this.violations.push(`${name} from ${from}: ${value}, not ${oldestAllowed} or newer`);
  }

  /** Notes what is true at the log's head: whoever has applied the log up to there must not answer with less. */
  #noteTruth(): void {
    this.#truthAt.set(`${this.log.epoch}/${this.log.head}`, new Map(this.#acknowledged));
  }

  async #answer({ fills }: Task, which: number): Promise<void> {
    const [fill] = fills.splice(which % Math.max(1, fills.length), 1);
    fill?.origin.resolve({
      body: Buffer.from(String(fill.value)),
      tags: [tagOf(fill.key)],
      ttlMs: 20 * MINUTE,
      staleWhileRevalidateMs: 20 * MINUTE,
      staleIfErrorMs: 60 * MINUTE,
    });
  }

  #fail({ fills }: Task, which: number): void {
    const [fill] = fills.splice(which % Math.max(1, fills.length), 1);
    fill?.origin.reject(new Error('the origin is down'));
  }

  /** An unsafe method has succeeded through this task. */
  #invalidateHere(acting: Task, name: string): void {
    const named = baseKeyOf(name);
    for (const other of KEYS.filter((each) => baseKeyOf(each) === named)) {
      this.truth.set(other, (this.truth.get(other) ?? 0) + 1);
      acting.oldestAllowed.set(other, this.truth.get(other) ?? 0);
    }
    acting.cache.invalidateKeys([named]);
  }

  /** Appends a message and announces it to every task, once however often it is tried. */
  readonly append: Append = (message) => {
    const { position, appended } = this.log.append(message);
    if (!appended) return position;
    for (const other of KEYS) {
      if (message.kind === 'invalidate' && isNamedBy(message, other)) {
        this.#acknowledged.set(other, this.truth.get(other) ?? 0);
      }
    }
    this.#noteTruth();
    for (const each of this.tasks) each.announce(message);
    return position;
  };

  #invalidate(name: string, kind: (typeof targetKinds)[number]): void {
    const named = nameFor[kind](name);
    const targets = { keys: [], tags: [], prefixes: [], patterns: [], [kind]: [named] };
    const message: InvalidateMessage = { kind: 'invalidate', id: randomUUID(), targets };
    for (const other of KEYS) {
      if (isNamedBy(message, other)) this.truth.set(other, (this.truth.get(other) ?? 0) + 1);
    }
    this.append(message);
  }

  #restart(number: number, keepDisk: boolean): void {
    const disk = this.disks[number] ?? new Map();
    if (!keepDisk) disk.clear();
    const before = this.tasks[number];
    void before?.cache.close();
    this.tasks[number] = new Task(this, disk, keepDisk ? before : undefined);
  }

  async finish(): Promise<void> {
    for (let open = true; open; ) {
      for (const each of this.tasks) await this.#answer(each, 0);
      await settle();
      open = this.tasks.some(({ fills }) => fills.length > 0);
    }
    for (const each of this.tasks) await each.cache.close();
  }
}

describe('the edge cache under any interleaving', () => {
  it('never answers with something older than an invalidation that the task has applied', async () => {
    let hits = 0;
    let hitsAfterInvalidation = 0;
    let staleHits = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 50, maxLength: 90 }), async (steps) => {
        const region = new Region();
        for (const next of steps) await region.run(next);
        await region.finish();
        hits += region.hits;
        staleHits += region.staleHits;
        hitsAfterInvalidation += region.hitsAfterInvalidation;
        expect(region.violations).toEqual([]);
      }),
      { numRuns: 1_500 },
    );
    // Else the property would hold for a cache that never hits.
    expect(hits).toBeGreaterThan(2_000);
    expect(hitsAfterInvalidation).toBeGreaterThan(500);
    expect(staleHits).toBeGreaterThan(200);
  });
});
