import { CONTROL_KEYS } from '../../../../lib/core/control-log';
import { TaskReport } from '../../../../lib/core/task-report';
import { until } from '../cache/fixtures';
import { append, client, follow, invalidation, RecordingState } from './log-follower-harness';

const reportOf = async (taskId: string): Promise<{ at: number; report: TaskReport } | undefined> => {
  const text = await client().hGet(CONTROL_KEYS.tasks, taskId);
  if (text === null) return undefined;
  const { at: time, report } = JSON.parse(text);
  return { at: time, report: TaskReport.parse(report) };
};

describe('the reports of the follower of the control log', () => {
  it('reports what it has applied, dated by Redis, and withdraws the report when it closes', async () => {
    const follower = follow(new RecordingState());
    await follower.ready;
    await append(invalidation('a'));
    await until(async () => (await reportOf('task-1'))?.report.position === 1);
    const found = await reportOf('task-1');
    expect(found?.report).toMatchObject({ taskId: 'task-1', region: 'eu-west-1', channels: { ranker: 3 }, models: {} });
    expect(found?.report.epoch).toBe(follower.position().epoch);
    const [seconds] = (await client().sendCommand(['TIME'])) as unknown as [string];
    expect(Math.abs((found?.at ?? 0) - Number(seconds) * 1_000)).toBeLessThan(10_000);
    await follower.close();
    expect(await reportOf('task-1')).toBeUndefined();
  });

  it('removes the reports of tasks that are gone, and of those only', async () => {
    await client().hSet(CONTROL_KEYS.tasks, 'gone', '{"at":1000,"report":{}}');
    const followersOfOne = [follow(new RecordingState(), 'one'), follow(new RecordingState(), 'two')];
    await Promise.all(followersOfOne.map(({ ready }) => ready));
    await until(async () => (await client().hKeys(CONTROL_KEYS.tasks)).sort().join() === 'one,two');
  });
});
