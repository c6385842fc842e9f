import { createControlLog } from '../../../../containers/edge/control/log-follower';
import { startRedis } from '../../../support/redis';
import { collectingLog, until } from '../cache/fixtures';
import { append, at, breakConnections, follow, invalidation, RecordingState } from './log-follower-harness';

describe('the follower of the control log, when Redis cannot be reached', () => {
  it('replays after a broken connection', async () => {
    const state = new RecordingState();
    const log = collectingLog();
    const follower = follow(state, 'task-1', log);
    await follower.ready;
    await append(invalidation('a'));
    await at(follower, 1);
    await breakConnections();
    await append(invalidation('b'));
    await at(follower, 2);
    await until(() => follower.connected());
    expect(state.calls.filter((call) => call !== 'caught up').slice(1)).toEqual(['apply a at 1/1', 'apply b at 1/2']);
    expect(log.said).toContain('control log caught up again');
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
