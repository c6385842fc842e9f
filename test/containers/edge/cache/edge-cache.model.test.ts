import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { CacheState } from '../../../../containers/edge/cache/cache-state';
import { createEdgeCache } from '../../../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type { BoundedStore, CacheEntry, CacheStore, EdgeCache, Filled } from '../../../../containers/edge/cache/types';
import type { ControlMessage } from '../../../../lib/core/control-message';
import { deferred } from './fixtures';

/** A tier that outlives the process that uses it. */
function lastingStore(tier: CacheStore['tier'], held: Map<string, CacheEntry>): BoundedStore {
  return {
    tier,
    get: (key) => held.get(key),
    set: (entry) => void held.set(entry.key, entry),
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

  append(message: ControlMessage): void {
    this.retained.push({ seq: ++this.head, message });
  }
  trim(keep: number): void {
    this.retained.splice(0, Math.max(0, this.retained.length - keep));
  }
  flush(): void {
    this.epoch = `epoch ${++this.#flushes}`;
    this.head = 0;
    this.retained = [];
  }
}

interface PendingFill {
  readonly key: string;
  readonly value: number;
  readonly origin: ReturnType<typeof deferred<Filled>>;
}

/** One edge task: a cache, the state its log follower drives, and fills that wait for the origin. */
class Task {
  readonly #log: Log;
  readonly index = new InvalidationIndex(
    { epoch: 'none', seq: 0 },
    {
      limits: { names: 3, bans: 2, epochs: 3 },
    },
  );
  readonly #memory = createMemoryStore(1_000_000);
  readonly state: CacheState;
  readonly cache: EdgeCache;
  readonly fills: PendingFill[] = [];
  readonly #announced: { epoch: string; seq: number; message: ControlMessage }[] = [];
  connected = false;

  constructor(log: Log, l1: Map<string, CacheEntry>, l2: Map<string, CacheEntry>, inherited: Task | undefined) {
    this.#log = log;
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
    this.cache = createEdgeCache({
      memory: this.#memory,
      l1: lastingStore('l1', l1),
      l2: disk,
      index: this.index,
      mayUseLasting,
    });
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
      if (item.epoch === epoch && item.seq === seq + 1) this.state.apply(item.message, item);
    }
    const wasFlushed = this.connected && this.state.checkpoint().position.epoch !== this.#log.epoch;
    if (wasFlushed && this.#log.head === 0) this.state.continueAs(this.#log.epoch);
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
      this.state.apply(message, { epoch, seq });
    }
    if (this.state.checkpoint().position.seq < head) this.state.restartAt({ epoch, seq: head });
    this.state.caughtUp();
  }
}

const KEYS = ['a/1', 'a/2', 'b/1'];
const tagOf = (key: string) => `tag:${key.slice(0, 1)}`;
const targetKinds = ['keys', 'tags', 'prefixes', 'patterns'] as const;
const nameFor = {
  keys: (key: string) => key,
  tags: tagOf,
  prefixes: (key: string) => key.slice(0, 2),
  patterns: (key: string) => `${key.slice(0, 1)}*`,
};

const task = fc.nat(1);
const key = fc.constantFrom(...KEYS);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('ask' as const), task, key }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('answer' as const), task, which: fc.nat(9) }) },
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
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Lets every promise that can go on without the outside world go on. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Two tasks over one L1 and one log; the origin's truth moves with every invalidation of a key. */
class Region {
  readonly log = new Log();
  readonly l1 = new Map<string, CacheEntry>();
  readonly disks = [new Map<string, CacheEntry>(), new Map<string, CacheEntry>()];
  readonly tasks: Task[];
  readonly truth = new Map(KEYS.map((name) => [name, 0]));
  readonly violations: string[] = [];
  readonly #truthAt = new Map<string, Map<string, number>>();
  hits = 0;
  hitsAfterInvalidation = 0;

  constructor() {
    this.tasks = this.disks.map((disk) => new Task(this.log, this.l1, disk, undefined));
    for (const each of this.tasks) each.connect();
  }

  async run(next: Step): Promise<void> {
    const acting = 'task' in next ? this.tasks[next.task] : undefined;
    if (next.do === 'ask' && acting) await this.#ask(acting, next.key);
    if (next.do === 'answer' && acting) await this.#answer(acting, next.which);
    if (next.do === 'invalidate') this.#invalidate(next.key, next.kind);
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
    const { epoch, seq } = asked.state.checkpoint().position;
    const oldestAllowed = this.#truthAt.get(`${epoch}/${seq}`)?.get(name) ?? 0;
    const origin = deferred<Filled>();
    const answer = asked.cache.getOrFill(name, () => {
      // The origin reads its data when it is asked, and answers when the schedule says.
      asked.fills.push({ key: name, value: this.truth.get(name) ?? 0, origin });
      return origin.promise;
    });
    void answer.then(({ body, tier }) => {
      const value = Number(body.toString());
      if (tier !== 'origin') this.hits += 1;
      if (tier !== 'origin' && value > 0) this.hitsAfterInvalidation += 1;
      if (value < oldestAllowed) this.violations.push(`${name} from ${tier}: ${value}, not ${oldestAllowed} or newer`);
    });
  }

  /** Notes what is true at the log's head: whoever has applied the log up to there must not answer with less. */
  #noteTruth(): void {
    this.#truthAt.set(`${this.log.epoch}/${this.log.head}`, new Map(this.truth));
  }

  async #answer({ fills }: Task, which: number): Promise<void> {
    const [fill] = fills.splice(which % Math.max(1, fills.length), 1);
    fill?.origin.resolve({ body: Buffer.from(String(fill.value)), tags: [tagOf(fill.key)], ttlMs: 3_600_000 });
  }

  #invalidate(name: string, kind: (typeof targetKinds)[number]): void {
    const named = nameFor[kind](name);
    const isNamed = (other: string) =>
      kind === 'keys' ? other === named : kind === 'tags' ? tagOf(other) === named : other[0] === name[0];
    for (const other of KEYS) if (isNamed(other)) this.truth.set(other, (this.truth.get(other) ?? 0) + 1);
    const targets = { keys: [], tags: [], prefixes: [], patterns: [], [kind]: [named] };
    const message: ControlMessage = { kind: 'invalidate', id: randomUUID(), targets };
    this.log.append(message);
    this.#noteTruth();
    for (const each of this.tasks) each.announce(message);
  }

  #restart(number: number, keepDisk: boolean): void {
    const disk = this.disks[number] ?? new Map();
    if (!keepDisk) disk.clear();
    this.tasks[number] = new Task(this.log, this.l1, disk, keepDisk ? this.tasks[number] : undefined);
  }

  async finish(): Promise<void> {
    for (let open = true; open; ) {
      for (const each of this.tasks) await this.#answer(each, 0);
      await settle();
      open = this.tasks.some(({ fills }) => fills.length > 0);
    }
  }
}

describe('the edge cache under any interleaving', () => {
  it('never answers with something older than an invalidation that the task has applied', async () => {
    let hits = 0;
    let hitsAfterInvalidation = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 60 }), async (steps) => {
        const region = new Region();
        for (const next of steps) await region.run(next);
        await region.finish();
        hits += region.hits;
        hitsAfterInvalidation += region.hitsAfterInvalidation;
        expect(region.violations).toEqual([]);
      }),
      { numRuns: 1_500 },
    );
    // Else the property would hold for a cache that never hits.
    expect(hits).toBeGreaterThan(2_000);
    expect(hitsAfterInvalidation).toBeGreaterThan(500);
  });
});
