import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { CacheEntry, Filled, FillTicket, Found } from '../../../../containers/edge/cache/types';
import type { InvalidateMessage } from '../../../../lib/core/control-message';
import { deferred } from './fixtures';
import { type Append, Log, Task } from './model-task';

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
    const found = await new Promise<Found | undefined>((resolve) => asked.cache.seek(name, resolve));
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
