import { ServiceError } from '../../../../../containers/edge/errors';
import { always, clock, eachWithItsOwnScheduler, idsOf, outcome, scheduler, session, warm } from './scheduling';
import { queueFor, rowOf } from './virtual-time';

eachWithItsOwnScheduler();

describe('what is run together', () => {
  it('is what arrives in one turn of the event loop', async () => {
    const fake = session();
    const queue = queueFor(fake);
    await warm(queue);
    const answers = [1, 2, 3].map((id) => outcome(queue, [id]));
    await clock.run();
    expect(idsOf(fake)).toEqual([[0], [1, 2, 3]]);
    expect(answers.map(({ value }) => value)).toEqual([[2], [4], [6]]);
  });

  it('is what waits when a slot becomes free, at once', async () => {
    const fake = session();
    const queue = queueFor(fake);
    await warm(queue);
    const began = clock.now();
    outcome(queue, [1]);
    clock.after(0.5, () => outcome(queue, [2]));
    clock.after(0.9, () => outcome(queue, [3]));
    await clock.run();
    expect(fake.runs.slice(1)).toMatchObject([
      { at: began, ids: [1] },
      { at: began + 1.1, ids: [2, 3] },
    ]);
  });

  it('is counted in rows', async () => {
    const fake = session();
    const queue = queueFor(fake, { maxBatchRows: 4 });
    await warm(queue);
    for (const ids of [[1, 2], [3, 4, 5], [6], [7, 8, 9, 10, 11, 12]]) {
      outcome(queue, ids, ids.length);
    }
    await clock.run();
    expect(idsOf(fake).slice(1)).toEqual([
      [1, 2],
      [3, 4, 5, 6],
      [7, 8, 9, 10, 11, 12],
    ]);
  });

  it('has one inner shape, and the request that waits longest goes first', async () => {
    const fake = session();
    const queue = queueFor(fake);
    await warm(queue);
    outcome(queue, [1, 0]);
    outcome(queue, [2]);
    outcome(queue, [3, 0]);
    outcome(queue, [4]);
    await clock.run();
    expect(idsOf(fake).slice(1)).toEqual([
      [1, 3],
      [2, 4],
    ]);
  });

  it('is one request where the model cannot run rows together', async () => {
    const fake = session();
    const queue = queueFor(fake, {}, false);
    await warm(queue);
    for (const id of [1, 2]) outcome(queue, [id]);
    await clock.run();
    expect(idsOf(fake)).toEqual([[0], [1], [2]]);
  });

  it('is one request until the cost of a run is known', async () => {
    const fake = session();
    const queue = queueFor(fake);
    for (const id of [1, 2, 3]) outcome(queue, [id]);
    await clock.run();
    expect(idsOf(fake)).toEqual([[1], [2, 3]]);
  });

  it('takes no longer than the bound in time', async () => {
    const fake = session({ costMs: (rows) => 2 * rows });
    const queue = queueFor(fake, { maxBatchMs: 10 });
    for (let id = 0; id < 200; id += 1) {
      outcome(queue, [id]);
      await clock.run(clock.now() + 1);
    }
    await clock.run();
    const sizes = fake.runs.map(({ ids }) => ids.length);
    // One more where the line through the first runs has not found the slope yet.
    expect(Math.max(...sizes)).toBeLessThanOrEqual(6);
    expect(Math.max(...sizes.slice(20))).toBe(5);
  });

  it('is as much as saves time, where a run takes longer than the bound by its fixed cost alone', async () => {
    const fake = session({ costMs: (rows) => 40 + rows });
    const queue = queueFor(fake, { maxBatchMs: 10 });
    for (let id = 0; id < 600; id += 1) {
      outcome(queue, [id]);
      await clock.run(clock.now() + 1.5);
    }
    await clock.run();
    // 1.5 ms a request are less than the 41 ms of a run: only by running them together do they get done.
    expect(fake.runs.length).toBeLessThan(60);
  });

  it('is one request where running together saves nothing and takes longer than the bound', async () => {
    const fake = session({ costMs: (rows) => 40 * rows });
    const queue = queueFor(fake, { maxBatchMs: 10 });
    for (let id = 0; id < 50; id += 1) outcome(queue, [id]);
    await clock.run();
    const sizes = fake.runs.map(({ ids }) => ids.length);
    expect(sizes.filter((size) => size > 1).length).toBeLessThanOrEqual(2);
  });

  it('is spread over idle slots where the parts are worth a run each', async () => {
    const fake = session({ slots: 2, costMs: (rows) => 0.1 + rows });
    const queue = queueFor(fake, { maxBatchMs: 100 });
    await warm(queue);
    for (const id of [1, 2]) outcome(queue, [id]);
    await clock.run();
    const before = fake.runs.length;
    for (let id = 1; id <= 8; id += 1) outcome(queue, [id]);
    await clock.run();
    expect(fake.runs.slice(before).map(({ ids }) => ids.length)).toEqual([4, 4]);
  });
});

describe('short runs that cannot be run together', () => {
  it('are given to a slot ahead, up to a millisecond of them', async () => {
    const fake = session({ costMs: () => 0.3, mostAtOnce: 3 });
    const queue = queueFor(fake, {}, false);
    await warm(queue);
    const began = clock.now();
    const answers = [1, 2, 3, 4].map((id) => outcome(queue, [id]));
    await clock.run();
    expect(answers.map(({ value }) => value)).toEqual([[2], [4], [6], [8]]);
    expect(fake.runs.slice(1).map(({ at }) => at - began)).toEqual([0, 0, 0, expect.closeTo(0.3)]);
  });

  it('wait for the slot where they are longer', async () => {
    const fake = session({ costMs: () => 0.6 });
    const queue = queueFor(fake, {}, false);
    await warm(queue);
    for (const id of [1, 2]) outcome(queue, [id]);
    await clock.run();
    expect(fake.runs).toHaveLength(3);
  });
});

describe('a batch that fails', () => {
  const fails = (ids: readonly number[]) => ids.includes(13);

  it('fails only the request that is to blame', async () => {
    const fake = session({ fails });
    const queue = queueFor(fake);
    await warm(queue);
    const answers = [12, 13, 14].map((id) => outcome(queue, [id]));
    await clock.run();
    expect(answers.map(({ value }) => value)).toEqual([[24], 'inference_failed', [28]]);
    expect(idsOf(fake).slice(1)).toEqual([[12, 13, 14], [12], [13], [14]]);
    expect(queue.statistics).toMatchObject({ failedBatches: 1, inferenceCount: 3, executionCount: 3 });
  });

  it('tells the rows of one request apart', async () => {
    const fake = session({ fails });
    const queue = queueFor(fake);
    await warm(queue);
    const rows = [12, 13, 14].map((id) => [rowOf([id])]);
    const outcomes = scheduler.runRows(queue, rows, () => always);
    await clock.run();
    expect(await outcomes).toMatchObject([
      { outputs: [{}] },
      { error: { code: 'inference_failed' } },
      { outputs: [{}] },
    ]);
  });

  it('is halved when every request of it runs alone, and grows back', async () => {
    let most = 4;
    const fake = session({ fails: (ids) => ids.length > most });
    const queue = queueFor(fake, { maxBatchRows: 8 });
    await warm(queue);
    const eight = () => Array.from({ length: 8 }, (_, id) => outcome(queue, [id]));
    const first = eight();
    await clock.run();
    expect(first.map(({ value }) => value)).toEqual(first.map((_, id) => [2 * id]));
    const failed = fake.runs.length;
    eight();
    await clock.run();
    expect(fake.runs.slice(failed).map(({ ids }) => ids.length)).toEqual([4, 4]);
    most = 8;
    for (let i = 0; i < 80; i += 1) await warm(queue);
    const before = fake.runs.length;
    eight();
    await clock.run();
    expect(fake.runs.slice(before).map(({ ids }) => ids.length)).toEqual([8]);
  });

  it('is not made smaller for one bad row', async () => {
    const fake = session({ fails });
    const queue = queueFor(fake, { maxBatchRows: 4 });
    await warm(queue);
    for (const id of [13, 1, 2, 3]) outcome(queue, [id]);
    await clock.run();
    const before = fake.runs.length;
    for (const id of [4, 5, 6, 7]) outcome(queue, [id]);
    await clock.run();
    expect(fake.runs.slice(before).map(({ ids }) => ids.length)).toEqual([4]);
  });

  it('counts as failed where the outputs have another number of rows', async () => {
    const fake = session();
    const run = fake.run.bind(fake);
    fake.run = async (inputs, options) => {
      const result = await run(inputs, options);
      const [output] = result.outputs;
      const first = output === undefined ? [] : [{ ...output, shape: [1, 1], data: output.data.slice(0, 1) }];
      return { ...result, outputs: first };
    };
    const queue = queueFor(fake);
    await warm(queue);
    const answers = [1, 2].map((id) => outcome(queue, [id]));
    await clock.run();
    expect(answers.map(({ value }) => value)).toEqual([[2], [4]]);
  });

  it('is not run again where the model cannot run at all now', async () => {
    const fake = session();
    const queue = queueFor(fake);
    await warm(queue);
    let runs = 0;
    fake.run = () => {
      runs += 1;
      return Promise.reject(new ServiceError('model_not_ready', 'quarantined'));
    };
    const answers = [1, 2, 3].map((id) => outcome(queue, [id]));
    await clock.run();
    expect(answers.map(({ value }) => value)).toEqual(answers.map(() => 'model_not_ready'));
    expect(runs).toBe(1);
  });

  it('is an inference that failed, also when the session throws at once', async () => {
    const fake = session();
    fake.run = () => {
      throw new Error('no such input');
    };
    const answer = outcome(queueFor(fake), [1]);
    await clock.run();
    expect(answer.value).toBe('inference_failed');
  });
});
