import { startLocalCdn, startWithoutWaiting } from '../support/local-cdn';
import { descendantsOf, type RunningProcess, stillRunning } from '../support/processes';

jest.setTimeout(120_000);

test('a runner that alone is told to stop ends everything it started', async () => {
  const cdn = await startLocalCdn({ port: 18_081 });
  const pid = cdn.process.pid ?? 0;
  const started = await descendantsOf(pid);
  expect(started.length).toBeGreaterThan(cdn.connection.regions.length);
  const exited = new Promise((resolve) => cdn.process.once('exit', resolve));
  process.kill(pid, 'SIGTERM');
  expect(await exited).toBe(0);
  expect(await stillRunning(started)).toEqual([]);
});

test('Ctrl-C in the middle of starting leaves nothing running, and the next start works', async () => {
  const child = startWithoutWaiting({ port: 18_081 });
  let started: RunningProcess[] = [];
  while (!started.some(({ command }) => command.startsWith('redis-server')))
    started = await descendantsOf(child.pid ?? 0);
  const exited = new Promise((resolve) => child.once('exit', resolve));
  process.kill(-(child.pid ?? 0), 'SIGINT');
  expect(await exited).toBe(0);
  expect(await stillRunning(started)).toEqual([]);
  const cdn = await startLocalCdn({ port: 18_081 });
  expect(await cdn.interrupt()).toBe(0);
});
