import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { createClient } from 'redis';
import { createControlLog } from '../../../../containers/edge/control/log-follower';
import type { Checkpoint, ControlLog, LogState } from '../../../../containers/edge/control/types';
import { APPEND_SCRIPT, CONTROL_KEYS, CONTROL_LOG_LENGTH } from '../../../../lib/core/control-log';
import type { ControlMessage } from '../../../../lib/core/control-message';
import { TaskReport } from '../../../../lib/core/task-report';
import { startRedis, type TestRedis } from '../../../support/redis';
import { collectingLog, until } from '../cache/fixtures';

/** Remembers the calls of a follower in words, with epochs numbered in the order of their appearance. */
class RecordingState implements LogState {
  readonly calls: string[] = [];
  readonly #epochs: string[] = [];
  #checkpoint: Checkpoint;

  constructor(checkpoint: Checkpoint = { position: { epoch: 'none', seq: 0 } }) {
    this.#checkpoint = checkpoint;
    this.#epochs.push(checkpoint.position.epoch);
  }
  checkpoint(): Checkpoint {
    return this.#checkpoint;
  }
  apply(message: ControlMessage, position: Checkpoint['position']): void {
    this.#checkpoint = { position, messageId: message.id };
    this.calls.push(
      `apply ${message.kind === 'invalidate' ? message.targets.keys.join() : message.kind} at ${this.#say(position)}`,
    );
  }
  continueAs(epoch: string): void {
    this.#checkpoint = { position: { epoch, seq: 0 } };
    this.calls.push(`continue as ${this.#say({ epoch, seq: 0 })}`);
  }
  restartAt(from: Checkpoint['position']): void {
    this.#checkpoint = { position: from };
    this.calls.push(`restart at ${this.#say(from)}`);
  }
  caughtUp(): void {
    this.calls.push('caught up');
  }
  #say({ epoch, seq }: Checkpoint['position']): string {
    if (!this.#epochs.includes(epoch)) this.#epochs.push(epoch);
    return `${this.#epochs.indexOf(epoch)}/${seq}`;
  }
}

describe('the follower of the control log', () => {
  let redis: TestRedis;
  let client: ReturnType<typeof createClient>;
  const followers: ControlLog[] = [];
  beforeAll(async () => {
    redis = await startRedis();
  });
  beforeEach(async () => {
    client = createClient({ url: redis.url });
    client.on('error', () => undefined);
    await client.connect();
    await client.flushAll();
  });
  afterEach(async () => {
    for (const follower of followers.splice(0)) await follower.close();
    client.destroy();
  });
  afterAll(() => redis.stop());

  const invalidation = (key: string, id: string = randomUUID()): ControlMessage => ({
    kind: 'invalidate',
    id,
    targets: { keys: [key], tags: [], prefixes: [], patterns: [] },
  });
  const append = async (message: ControlMessage, length = CONTROL_LOG_LENGTH): Promise<number> => {
    const { epoch, head, stream, seen, channel } = CONTROL_KEYS;
    const reply = await client.eval(APPEND_SCRIPT, {
      keys: [epoch, head, stream, seen],
      arguments: [randomUUID(), message.id, JSON.stringify(message), `${length}`, channel],
    });
    return Array.isArray(reply) ? Number(reply[1]) : Number.NaN;
  };
  const follow = (state: LogState, taskId = 'task-1', log = collectingLog()): ControlLog => {
    const report = () => ({ channels: { ranker: 3 }, models: {} });
    const options = { redisUrl: redis.url, taskId, region: 'eu-west-1', state, report, log };
    const follower = createControlLog({ ...options, heartbeatMs: 20, maxBackoffMs: 50 });
    followers.push(follower);
    return follower;
  };
  const at = (follower: ControlLog, seq: number) => until(() => follower.position().seq === seq);

  it('starts a log where there is none, and applies what is appended in order', async () => {
    const state = new RecordingState();
    const follower = follow(state);
    await follower.ready;
    for (const key of ['a', 'b', 'c']) await append(invalidation(key));
    await at(follower, 3);
    expect(state.calls).toEqual(['restart at 1/0', 'caught up', 'apply a at 1/1', 'apply b at 1/2', 'apply c at 1/3']);
    expect(follower.connected()).toBe(true);
  });

  it('tells how far behind it is: unknown before, nothing while it follows, and for how long once cut off', async () => {
    const follower = follow(new RecordingState());
    expect(follower.lag()).toBeUndefined();
    await follower.ready;
    await append(invalidation('a'));
    await at(follower, 1);
    await until(() => follower.lag()?.messages === 0);
    const before = follower.lag()?.seconds ?? 0;
    await until(() => (follower.lag()?.seconds ?? Number.POSITIVE_INFINITY) < before + 1);
    await follower.close();
    const cut = follower.lag()?.seconds ?? 0;
    await until(() => (follower.lag()?.seconds ?? 0) > cut);
    expect(follower.lag()?.messages).toBe(0);
  });

  it('replays the whole log to a task that has never seen it', async () => {
    for (const key of ['a', 'b']) await append(invalidation(key));
    const state = new RecordingState();
    await follow(state).ready;
    expect(state.calls).toEqual(['restart at 1/0', 'apply a at 1/1', 'apply b at 1/2', 'caught up']);
  });

  it('replays to a task that comes back only what it has not applied', async () => {
    const id = randomUUID();
    await append(invalidation('a', id));
    await append(invalidation('b'));
    const epoch = (await client.get(CONTROL_KEYS.epoch)) ?? '';
    const state = new RecordingState({ position: { epoch, seq: 1 }, messageId: id });
    await follow(state).ready;
    expect(state.calls).toEqual(['apply b at 0/2', 'caught up']);
  });

  it('applies once what is delivered twice', async () => {
    const state = new RecordingState();
    const follower = follow(state);
    await follower.ready;
    const message = invalidation('a');
    expect([await append(message), await append(message)]).toEqual([1, 1]);
    const text = { epoch: follower.position().epoch, position: 1, message: JSON.stringify(message) };
    await client.publish(CONTROL_KEYS.channel, JSON.stringify(text));
    await append(invalidation('b'));
    await at(follower, 2);
    expect(state.calls.slice(2)).toEqual(['apply a at 1/1', 'apply b at 1/2']);
  });

  it('reads from the log what an announcement shows to be missing', async () => {
    const state = new RecordingState();
    const follower = follow(state);
    await follower.ready;
    const first = invalidation('first');
    await client
      .multi()
      .set(CONTROL_KEYS.head, '1')
      .xAdd(CONTROL_KEYS.stream, '1-0', { m: JSON.stringify(first) })
      .exec();
    await append(invalidation('second'));
    await at(follower, 2);
    expect(state.calls.slice(2)).toEqual(['apply first at 1/1', 'apply second at 1/2']);
  });

  it('replays after a broken connection', async () => {
    const state = new RecordingState();
    const log = collectingLog();
    const follower = follow(state, 'task-1', log);
    await follower.ready;
    await append(invalidation('a'));
    await at(follower, 1);
    await redis.disconnectClients();
    client.destroy();
    client = createClient({ url: redis.url });
    await client.connect();
    await append(invalidation('b'));
    await at(follower, 2);
    await until(() => follower.connected());
    expect(state.calls.filter((call) => call !== 'caught up').slice(1)).toEqual(['apply a at 1/1', 'apply b at 1/2']);
    expect(log.said).toContain('control log caught up again');
  });

  it('goes on without dropping anything when Redis is flushed under an unbroken connection', async () => {
    const state = new RecordingState();
    const follower = follow(state);
    await follower.ready;
    await append(invalidation('a'));
    await at(follower, 1);
    await redis.flush();
    await append(invalidation('b'));
    await until(() => state.calls.length >= 5);
    expect(state.calls.slice(2)).toEqual(['apply a at 1/1', 'continue as 2/0', 'apply b at 2/1']);
  });

  it('applies in order whatever is announced while Redis loses the log time and again', async () => {
    const { epoch, head, stream, seen, channel } = CONTROL_KEYS;
    const Step = fc.constantFrom<'append' | 'flush'>('append', 'append', 'flush');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(Step, { minLength: 1, maxLength: 6 }), { maxLength: 8 }), async (groups) => {
        await client.flushAll();
        const state = new RecordingState();
        const follower = follow(state);
        await follower.ready;
        let appended = 0;
        // Each group in one step of Redis, so that no read of the follower falls between.
        for (const group of [...groups, ['append' as const]]) {
          const atomic = client.multi();
          for (const step of group) {
            if (step === 'flush') atomic.flushAll();
            else {
              const message = invalidation(`k${appended++}`);
              const values = [randomUUID(), message.id, JSON.stringify(message), `${CONTROL_LOG_LENGTH}`, channel];
              atomic.eval(APPEND_SCRIPT, { keys: [epoch, head, stream, seen], arguments: values });
            }
          }
          await atomic.exec();
        }
        await until(() => state.calls.some((call) => call.startsWith(`apply k${appended - 1} `)));
        const applied = state.calls.filter((call) => call.startsWith('apply')).map((call) => call.split(' ')[1]);
        expect(applied).toEqual(Array.from({ length: appended }, (_, i) => `k${i}`));
        expect(state.calls.filter((call) => call.startsWith('restart'))).toHaveLength(1);
        await follower.close();
      }),
      { numRuns: 30 },
    );
  });

  it('notices a flushed log without any message', async () => {
    const state = new RecordingState();
    const follower = follow(state);
    await follower.ready;
    await redis.flush();
    await until(() => state.calls.includes('continue as 2/0'));
    expect(state.calls).toEqual(['restart at 1/0', 'caught up', 'continue as 2/0']);
  });

  it('starts again when the log was lost while it was away', async () => {
    await append(invalidation('a'));
    const state = new RecordingState({ position: { epoch: 'the epoch before', seq: 1 }, messageId: randomUUID() });
    await follow(state).ready;
    expect(state.calls).toEqual(['restart at 1/0', 'apply a at 1/1', 'caught up']);
  });

  it('starts again below what is retained when the log was trimmed past it', async () => {
    const id = randomUUID();
    await append(invalidation('a', id), 2);
    const epoch = (await client.get(CONTROL_KEYS.epoch)) ?? '';
    for (const key of ['b', 'c', 'd']) await append(invalidation(key), 2);
    const state = new RecordingState({ position: { epoch, seq: 1 }, messageId: id });
    await follow(state).ready;
    expect(state.calls).toEqual(['restart at 0/2', 'apply c at 0/3', 'apply d at 0/4', 'caught up']);
  });

  it('starts again at the head when Redis has lost the stream alone', async () => {
    for (const key of ['a', 'b']) await append(invalidation(key));
    await client.del(CONTROL_KEYS.stream);
    const state = new RecordingState();
    await follow(state).ready;
    expect(state.calls).toEqual(['restart at 1/0', 'restart at 1/2', 'caught up']);
  });

  it.each([
    ['has another message where it stood', 'other'],
    ['ends before where it stood', 'shorter'],
  ])('ends a log that %s: a failover lost what had been announced', async (_name, how) => {
    await append(invalidation('a'));
    const epoch = (await client.get(CONTROL_KEYS.epoch)) ?? '';
    const seq = how === 'other' ? 1 : 2;
    const state = new RecordingState({ position: { epoch, seq }, messageId: randomUUID() });
    const follower = follow(state);
    await follower.ready;
    expect(state.calls).toEqual(['restart at 1/0', 'caught up']);
    expect(await append(invalidation('after'))).toBe(1);
    await at(follower, 1);
  });

  it('reads a long log page by page', async () => {
    for (let i = 1; i <= 2_500; i++) await append(invalidation(`k${i}`));
    const state = new RecordingState();
    const follower = follow(state);
    await follower.ready;
    expect(follower.position().seq).toBe(2_500);
    expect(state.calls).toHaveLength(2_502);
  });

  it('treats a message that it does not understand as missed', async () => {
    const state = new RecordingState();
    const log = collectingLog();
    const follower = follow(state, 'task-1', log);
    await follower.ready;
    const unknown = { kind: 'forget', id: randomUUID() } as unknown as ControlMessage;
    await append(unknown);
    await append(invalidation('a'));
    await at(follower, 2);
    expect(state.calls.slice(2)).toEqual(['restart at 1/1', 'apply a at 1/2']);
    expect(log.said).toContain('control message not understood; dropping the caches');
  });

  const reportOf = async (taskId: string): Promise<{ at: number; report: TaskReport } | undefined> => {
    const text = await client.hGet(CONTROL_KEYS.tasks, taskId);
    if (text === null) return undefined;
    const { at: time, report } = JSON.parse(text);
    return { at: time, report: TaskReport.parse(report) };
  };

  it('reports what it has applied, dated by Redis, and withdraws the report when it closes', async () => {
    const follower = follow(new RecordingState());
    await follower.ready;
    await append(invalidation('a'));
    await until(async () => (await reportOf('task-1'))?.report.position === 1);
    const found = await reportOf('task-1');
    expect(found?.report).toMatchObject({ taskId: 'task-1', region: 'eu-west-1', channels: { ranker: 3 }, models: {} });
    expect(found?.report.epoch).toBe(follower.position().epoch);
    const [seconds] = (await client.sendCommand(['TIME'])) as unknown as [string];
    expect(Math.abs((found?.at ?? 0) - Number(seconds) * 1_000)).toBeLessThan(10_000);
    await follower.close();
    expect(await reportOf('task-1')).toBeUndefined();
  });

  it('removes the reports of tasks that are gone, and of those only', async () => {
    await client.hSet(CONTROL_KEYS.tasks, 'gone', '{"at":1000,"report":{}}');
    const followersOfOne = [follow(new RecordingState(), 'one'), follow(new RecordingState(), 'two')];
    await Promise.all(followersOfOne.map(({ ready }) => ready));
    await until(async () => (await client.hKeys(CONTROL_KEYS.tasks)).sort().join() === 'one,two');
  });

  it('waits for a Redis that is not there yet, and closes without it', async () => {
    const later = await startRedis();
    await later.stop();
    const options = { redisUrl: later.url, taskId: 't', region: 'r', report: () => ({ channels: {}, models: {} }) };
    const state = new RecordingState();
    const follower = createControlLog({ ...options, state, log: collectingLog(), maxBackoffMs: 20 });
    const back = await startRedis({ port: later.port });
    await follower.ready;
    expect(state.calls).toEqual(['restart at 1/0', 'caught up']);
    await back.stop();
    await until(() => !follower.connected());
    await follower.close();
  });

  it('gives up a connection on which Redis no longer answers', async () => {
    const hanging = await startRedis();
    const options = { redisUrl: hanging.url, taskId: 't', region: 'r', report: () => ({ channels: {}, models: {} }) };
    const state = new RecordingState();
    const timing = { heartbeatMs: 20, replyDeadlineMs: 200, maxBackoffMs: 20 };
    const follower = createControlLog({ ...options, ...timing, state, log: collectingLog() });
    await follower.ready;
    hanging.freeze();
    await until(() => !follower.connected());
    hanging.thaw();
    await until(() => follower.connected());
    await follower.close();
    await hanging.stop();
  });
});
