import { randomUUID } from 'node:crypto';
import { CONTROL_KEYS } from '../../../../lib/core/control-log';
import type { ControlMessage } from '../../../../lib/core/control-message';
import { collectingLog, until } from '../cache/fixtures';
import { append, at, client, follow, invalidation, RecordingState } from './log-follower-harness';

describe('the follower of the control log', () => {
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
    const epoch = (await client().get(CONTROL_KEYS.epoch)) ?? '';
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
    await client().publish(CONTROL_KEYS.channel, JSON.stringify(text));
    await append(invalidation('b'));
    await at(follower, 2);
    expect(state.calls.slice(2)).toEqual(['apply a at 1/1', 'apply b at 1/2']);
  });

  it('reads from the log what an announcement shows to be missing', async () => {
    const state = new RecordingState();
    const follower = follow(state);
    await follower.ready;
    const first = invalidation('first');
    await client()
      .multi()
      .set(CONTROL_KEYS.head, '1')
      .xAdd(CONTROL_KEYS.stream, '1-0', { m: JSON.stringify(first) })
      .exec();
    await append(invalidation('second'));
    await at(follower, 2);
    expect(state.calls.slice(2)).toEqual(['apply first at 1/1', 'apply second at 1/2']);
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
});
