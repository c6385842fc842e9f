import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { APPEND_SCRIPT, CONTROL_KEYS } from '../../../../lib/core/control-log';
import { until } from '../cache/fixtures';
import { append, appending, at, client, follow, invalidation, RecordingState, redis } from './log-follower-harness';

describe('the follower of a control log that is lost in part or whole', () => {
  it('goes on without dropping anything when Redis is flushed under an unbroken connection', async () => {
    const state = new RecordingState();
    const follower = follow(state);
    await follower.ready;
    await append(invalidation('a'));
    await at(follower, 1);
    await redis().flush();
    await append(invalidation('b'));
    await until(() => state.calls.length >= 5);
    expect(state.calls.slice(2)).toEqual(['apply a at 1/1', 'continue as 2/0', 'apply b at 2/1']);
  });

  it('applies in order whatever is announced while Redis loses the log time and again', async () => {
    const Step = fc.constantFrom<'append' | 'flush'>('append', 'append', 'flush');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(Step, { minLength: 1, maxLength: 6 }), { maxLength: 8 }), async (groups) => {
        await client().flushAll();
        const state = new RecordingState();
        const follower = follow(state);
        await follower.ready;
        let appended = 0;
        // Each group in one step of Redis, so that no read of the follower falls between.
        for (const group of [...groups, ['append' as const]]) {
          const atomic = client().multi();
          for (const step of group) {
            if (step === 'flush') atomic.flushAll();
            else atomic.eval(APPEND_SCRIPT, appending(invalidation(`k${appended++}`)));
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
    await redis().flush();
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
    const epoch = (await client().get(CONTROL_KEYS.epoch)) ?? '';
    for (const key of ['b', 'c', 'd']) await append(invalidation(key), 2);
    const state = new RecordingState({ position: { epoch, seq: 1 }, messageId: id });
    await follow(state).ready;
    expect(state.calls).toEqual(['restart at 0/2', 'apply c at 0/3', 'apply d at 0/4', 'caught up']);
  });

  it('starts again at the head when Redis has lost the stream alone', async () => {
    for (const key of ['a', 'b']) await append(invalidation(key));
    await client().del(CONTROL_KEYS.stream);
    const state = new RecordingState();
    await follow(state).ready;
    expect(state.calls).toEqual(['restart at 1/0', 'restart at 1/2', 'caught up']);
  });

  it.each([
    ['has another message where it stood', 'other'],
    ['ends before where it stood', 'shorter'],
  ])('ends a log that %s: a failover lost what had been announced', async (_name, how) => {
    await append(invalidation('a'));
    const epoch = (await client().get(CONTROL_KEYS.epoch)) ?? '';
    const seq = how === 'other' ? 1 : 2;
    const state = new RecordingState({ position: { epoch, seq }, messageId: randomUUID() });
    const follower = follow(state);
    await follower.ready;
    expect(state.calls).toEqual(['restart at 1/0', 'caught up']);
    expect(await append(invalidation('after'))).toBe(1);
    await at(follower, 1);
  });
});
