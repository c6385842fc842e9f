import { powerModel } from '../../../../support/tiny-models';
import { ENDLESS, LIMITS, matrix, modelFile, power, row, startHost, tiny, until, workerPids } from './harness';

describe('time', () => {
  test('a run past its deadline is answered, and its worker replaced when it does not come back', async () => {
    const host = startHost(1, { limits: { ...LIMITS, graceMs: 1 } });
    const [slow, fast] = [await host.open(power()), await host.open(tiny())];
    const late = slow.run([ENDLESS], { deadline: performance.now() + 50 });
    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded', status: 504 });
    await expect(fast.run([row(1, 0, 0)])).resolves.toBeDefined();
    expect(host.counts()).toMatchObject({ timeouts: { request: 1, host: 0 }, kills: 1, deaths: {}, quarantined: [] });
  });

  test('a worker that comes back within the grace is kept', async () => {
    const host = startHost(1);
    const slow = await host.open(modelFile('square', powerModel(40)));
    const pids = await workerPids();
    const late = slow.run([matrix(600)], { deadline: performance.now() + 1 });
    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded' });
    await slow.run([matrix(1)]);
    expect(await workerPids()).toEqual(pids);
    expect(host.counts()).toMatchObject({ timeouts: { request: 1, host: 0 }, kills: 0, restarts: 0 });
  });

  test('no run takes longer than the host allows, and a model whose runs do is quarantined', async () => {
    const limits = { ...LIMITS, runMs: 100, graceMs: 1 };
    const quarantine = { strikes: 1, windowMs: 60_000, firstMs: 60_000, longestMs: 60_000 };
    const host = startHost(1, { limits, quarantine });
    const slow = await host.open(power());
    await expect(slow.run([ENDLESS])).rejects.toMatchObject({
      code: 'deadline_exceeded',
      message: expect.stringContaining('not answered after 0.1 s'),
    });
    await until(() => host.counts().kills === 1);
    expect(host.counts()).toMatchObject({ timeouts: { request: 0, host: 1 }, quarantined: ['power@1'] });
  });

  test('a run whose deadline passes while it waits is never given to a worker', async () => {
    const host = startHost(1);
    const [slow, fast] = [await host.open(power()), await host.open(tiny())];
    const lost = rejection(slow.run([ENDLESS]));
    await expect(fast.run([row(1, 0, 0)], { deadline: performance.now() + 20 })).rejects.toMatchObject({
      code: 'deadline_exceeded',
    });
    expect(host.counts().waiting).toBe(0);
    await host.close();
    expect(await lost).toMatchObject({ code: 'model_not_ready' });
  });

  test('a run aborted before it began is rejected with the reason', async () => {
    const host = startHost(1);
    const [slow, fast] = [await host.open(power()), await host.open(tiny())];
    const reason = new Error('the client went away');
    await expect(fast.run([row(1, 0, 0)], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const lost = rejection(slow.run([ENDLESS]));
    const client = new AbortController();
    const waiting = fast.run([row(1, 0, 0)], { signal: client.signal });
    client.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(host.counts().waiting).toBe(0);
    await host.close();
    expect(await lost).toMatchObject({ code: 'model_not_ready' });
  });
});

/** What a run that is looked at later is rejected with. */
function rejection(run: Promise<unknown>): Promise<unknown> {
  return run.then(
    () => undefined,
    (error: unknown) => error,
  );
}
