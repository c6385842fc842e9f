import { demandOf } from '../../../../../containers/edge/inference/execution/demand';
import { always, clock, eachWithItsOwnScheduler, idsOf, outcome, scheduler, session, warm } from './scheduling';
import { queueFor, rowOf, settled } from './virtual-time';

eachWithItsOwnScheduler();

describe('a request that is no use any more', () => {
  it('is dropped before it runs when its client has gone', async () => {
    const fake = session();
    const queue = queueFor(fake);
    await warm(queue);
    const client = new AbortController();
    const first = outcome(queue, [1]);
    clock.after(0.1, () => {
      const gone = outcome(queue, [2], 1, demandOf({ signal: client.signal }));
      const stays = outcome(queue, [3]);
      client.abort();
      clock.after(5, () => {
        expect(gone.value).toBe('client_closed_request');
        expect(stays.value).toEqual([6]);
      });
    });
    await clock.run();
    expect(first.value).toEqual([2]);
    expect(idsOf(fake).slice(1)).toEqual([[1], [3]]);
    expect(queue.statistics.abandoned).toBe(1);
  });

  it('is refused at once when its deadline would pass while it ran', async () => {
    const fake = session({ costMs: () => 10 });
    const queue = queueFor(fake);
    await warm(queue);
    const answer = outcome(queue, [1], 1, demandOf({ deadline: clock.now() + 9 }));
    await settled();
    expect(answer.value).toBe('deadline_exceeded');
    expect(fake.runs).toHaveLength(1);
  });

  it('is refused at once when what waits before it takes longer than it has', async () => {
    const fake = session({ costMs: (rows) => 10 * rows });
    const queue = queueFor(fake, {}, false);
    await warm(queue);
    for (let id = 0; id < 10; id += 1) outcome(queue, [id]);
    const late = outcome(queue, [1], 1, demandOf({ deadline: clock.now() + 80 }));
    const inTime = outcome(queue, [2], 1, demandOf({ deadline: clock.now() + 130 }));
    await clock.run();
    expect(late.value).toBe('deadline_exceeded');
    expect(inTime.value).toEqual([4]);
  });

  it('is dropped soon after its deadline while every slot is busy', async () => {
    const fake = session({ costMs: (rows) => (rows === 1 ? 1 : 1_000) });
    const queue = queueFor(fake);
    await warm(queue);
    outcome(queue, [1, 2], 2);
    await clock.run(clock.now() + 1);
    const answer = outcome(queue, [3], 1, demandOf({ deadline: clock.now() + 600 }));
    await clock.run(clock.now() + 590);
    expect(answer.value).toBe('pending');
    await clock.run(clock.now() + 40);
    expect(answer.value).toBe('deadline_exceeded');
    await clock.run();
    expect(queue.statistics.deadlineExceeded).toBe(1);
  });

  it('does not make a batch so long that a deadline in it is missed', async () => {
    const fake = session({ costMs: (rows) => 1 + rows });
    const queue = queueFor(fake, { maxBatchMs: 100 });
    for (const ids of [[1], [1, 2, 3, 4], [1, 2], [1]]) {
      outcome(queue, ids, ids.length);
      await clock.run();
    }
    const before = fake.runs.length;
    const urgent = outcome(queue, [1], 1, demandOf({ deadline: clock.now() + 4.5 }));
    for (const id of [2, 3, 4, 5]) outcome(queue, [id]);
    await clock.run();
    expect(urgent.value).toEqual([2]);
    expect(fake.runs.slice(before).map(({ ids }) => ids)).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
  });

  it('tells the session the latest deadline, and none where one request has none', async () => {
    const fake = session();
    const queue = queueFor(fake);
    await warm(queue);
    const at = clock.now();
    outcome(queue, [1], 1, demandOf({ deadline: at + 100 }));
    outcome(queue, [2], 1, demandOf({ deadline: at + 200 }));
    await clock.run();
    expect(fake.runs.at(-1)?.options).toEqual({ deadline: at + 200 });
    outcome(queue, [1], 1, demandOf({ deadline: clock.now() + 100 }));
    outcome(queue, [2]);
    await clock.run();
    expect(fake.runs.at(-1)?.options).toEqual({});
  });
});

describe('a full queue', () => {
  it('refuses a request more, and says when to come back', async () => {
    const fake = session({ costMs: () => 1_000 });
    const queue = queueFor(fake, { maxQueuedRequests: 4 }, false);
    await warm(queue);
    outcome(queue, [0]);
    await clock.run(clock.now() + 1);
    for (let id = 0; id < 4; id += 1) outcome(queue, [id]);
    await expect(scheduler.run(queue, [rowOf([9])], always)).rejects.toMatchObject({
      code: 'overloaded',
      status: 503,
      retryAfterSeconds: 4,
      message: 'model fake version 1: 4 requests with 4 rows are waiting already; try again later',
    });
    expect(queue.statistics.overloaded).toBe(1);
    await clock.run();
    expect(outcome(queue, [1]).value).toBe('pending');
    await clock.run();
  });

  it.each([
    ['rows', { maxQueuedRows: 3 }],
    ['bytes', { maxQueuedBytes: 12 }],
  ])('is bounded in %s', async (_, limits) => {
    const fake = session({ costMs: () => 100 });
    const queue = queueFor(fake, limits);
    outcome(queue, [0]);
    await clock.run(1);
    const fits = outcome(queue, [1, 2], 2);
    const tooMany = outcome(queue, [3, 4], 2);
    const fitsToo = outcome(queue, [5]);
    await settled();
    expect(tooMany.value).toBe('overloaded');
    await clock.run();
    expect([fits.value, fitsToo.value]).toEqual([[2, 4], [10]]);
  });

  it('takes a request of any size when it is empty', async () => {
    const fake = session();
    const queue = queueFor(fake, { maxQueuedRows: 2 });
    const outcomes = scheduler.runRows(
      queue,
      [1, 2, 3, 4].map((id) => [rowOf([id])]),
      () => always,
    );
    await clock.run();
    expect(await outcomes).toHaveLength(4);
  });

  it('first lets go of what nobody waits for', async () => {
    const fake = session({ costMs: () => 100 });
    const queue = queueFor(fake, { maxQueuedRequests: 1 });
    await warm(queue);
    outcome(queue, [0]);
    await clock.run(clock.now() + 1);
    const client = new AbortController();
    const gone = outcome(queue, [1], 1, demandOf({ signal: client.signal }));
    client.abort();
    const answer = outcome(queue, [2]);
    await clock.run();
    expect([gone.value, answer.value]).toEqual(['client_closed_request', [4]]);
  });
});

describe('models that share slots', () => {
  it('take turns by the time they use, so that a slow one cannot starve a fast one', async () => {
    const pool = {};
    const slow = queueFor(session({ pool, costMs: () => 50 }), {}, false);
    const fast = queueFor(session({ pool, costMs: () => 1 }), {}, false);
    await warm(slow);
    await warm(fast);
    const began = clock.now();
    for (let id = 0; id < 20; id += 1) outcome(slow, [id]);
    const done: number[] = [];
    for (let id = 0; id < 100; id += 1) {
      void scheduler.run(fast, [rowOf([id])], always).then(() => done.push(clock.now() - began));
    }
    await clock.run();
    // Half of the time is the fast one's: its 100 ms of work are done within 200 ms, and a run of the slow one.
    expect(done).toHaveLength(100);
    expect(Math.max(...done)).toBeLessThanOrEqual(250);
  });

  it('have slots of their own where they share none', async () => {
    const slow = queueFor(session({ costMs: () => 1_000 }));
    const fast = queueFor(session({ costMs: () => 1 }));
    outcome(slow, [1]);
    const answer = outcome(fast, [2]);
    await clock.run(2);
    expect(answer.value).toEqual([4]);
    await clock.run();
  });
});

describe('the load', () => {
  it('rises with the time that the slots are in use, and falls when they are not', async () => {
    const fake = session({ slots: 2, costMs: () => 500 });
    const queue = queueFor(fake, {}, false);
    const sample = async (seconds: number) => {
      for (let i = 0; i < seconds; i += 1) {
        await clock.run(clock.now() + 1_000);
        scheduler.sampleLoad();
      }
    };
    expect(scheduler.load).toBe(0);
    for (let i = 0; i < 60; i += 1) outcome(queue, [i]);
    await sample(15);
    // 60 runs of half a second keep two slots busy for 15 s.
    expect(scheduler.load).toBeGreaterThan(0.9);
    expect(scheduler.load).toBeLessThanOrEqual(1);
    await sample(30);
    expect(scheduler.load).toBeLessThan(0.01);
  });

  it('is that of the event loop where that is busier', async () => {
    clock.utilisation = 0.8;
    await clock.run(60_000);
    scheduler.sampleLoad();
    expect(scheduler.load).toBeCloseTo(0.8, 2);
  });

  it('is that of the fullest queue where that is fuller', async () => {
    const fake = session({ slots: 8, costMs: () => 1e6 });
    const queue = queueFor(fake, { maxQueuedRequests: 4 }, false);
    for (let i = 0; i < 11; i += 1) {
      outcome(queue, [i]);
      await clock.run(clock.now() + 1);
    }
    await clock.run(100_000);
    scheduler.sampleLoad();
    expect(scheduler.load).toBeCloseTo(1, 1);
  });
});

it('keeps statistics as the statistics extension has them', async () => {
  const fake = session({ costMs: (rows) => 10 * rows });
  const queue = queueFor(fake);
  await warm(queue);
  outcome(queue, [1]);
  await clock.run(clock.now() + 4);
  for (const ids of [[2], [3, 4, 5]]) outcome(queue, ids, ids.length);
  await clock.run();
  const { inferenceCount, executionCount, compute, queue: waited, batches } = queue.statistics;
  expect({ inferenceCount, executionCount }).toEqual({ inferenceCount: 6, executionCount: 3 });
  expect({ ...waited }).toEqual({ count: 4, ns: 2 * 6e6 });
  expect({ ...compute.infer }).toEqual({ count: 4, ns: 1e7 + 1e7 + 2 * 4e7 });
  expect([...batches].map(([rows, { infer }]) => [rows, infer.count])).toEqual([
    [1, 2],
    [4, 1],
  ]);
});
