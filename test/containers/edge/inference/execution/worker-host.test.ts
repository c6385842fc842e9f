import { execFileSync } from 'node:child_process';
import { closeSync, readFileSync, rmSync } from 'node:fs';
import { RefusedModel } from '../../../../../containers/edge/inference/refused-model';
import { identityModel } from '../../../../support/identity-model';
import { descendantsOf, stillRunning } from '../../../../support/processes';
import { powerModel, tinyModel } from '../../../../support/tiny-models';
import {
  ENDLESS,
  matrix,
  modelFile,
  openForWriting,
  pathOf,
  power,
  row,
  startHost,
  tiny,
  until,
  workerPids,
} from './harness';

test('a model runs in a worker as its signature says', async () => {
  const host = startHost(1);
  const session = await host.open(tiny());
  expect(session).toMatchObject({
    slots: 1,
    inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 3] }],
    outputs: [{ name: 'score', datatype: 'FP32', shape: [-1, 1] }],
  });
  const { outputs, computeMs, inputMs, outputMs } = await session.run([row(1, 2, 3)]);
  expect(outputs).toEqual([{ name: 'score', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(12) }]);
  for (const ms of [computeMs, inputMs, outputMs]) expect(ms).toBeGreaterThan(0);
});

test('a run that is repeated tells the time of each, with the answer of the last', async () => {
  const session = await startHost(1).open(tiny());
  const { outputs, eachMs, computeMs } = await session.run([row(1, 2, 3)], { repeat: { runs: 7, limitMs: 60_000 } });
  expect(outputs[0]?.data).toEqual(Float32Array.of(12));
  expect(eachMs).toHaveLength(7);
  for (const ms of eachMs ?? []) expect(ms).toBeGreaterThanOrEqual(0);
  expect(computeMs).toBeGreaterThanOrEqual((eachMs ?? []).reduce((sum, ms) => sum + ms, 0));
  expect((await session.run([row(1, 2, 3)])).eachMs).toBeUndefined();
});

test('a run is not repeated past its limit, but made once', async () => {
  const session = await startHost(1).open(tiny());
  const { outputs, eachMs } = await session.run([row(1, 2, 3)], { repeat: { runs: 7, limitMs: 0 } });
  expect(outputs[0]?.data).toEqual(Float32Array.of(12));
  expect(eachMs).toHaveLength(1);
});

test('many runs of several models at once are each answered with their own', async () => {
  const host = startHost(2);
  const sessions = await Promise.all([2, 3, 5].map((f) => host.open(modelFile(`tiny${f}`, tinyModel(f)))));
  const answers = await Promise.all(
    Array.from({ length: 300 }, async (_, i) => {
      const result = await sessions[i % 3]?.run([row(i, 0, 0)]);
      return result?.outputs[0]?.data[0];
    }),
  );
  expect(answers).toEqual(Array.from({ length: 300 }, (_, i) => i * ([2, 3, 5][i % 3] ?? 0)));
});

test('a tensor larger than the sockets can hold goes and comes back', async () => {
  const session = await startHost(1).open(modelFile('square', powerModel(1)));
  const identity = matrix(700);
  for (let i = 0; i < 700; i += 1) (identity.data as Float32Array)[i * 701] = 1;
  expect((await session.run([identity])).outputs[0]?.data).toEqual(identity.data);
});

test.each([
  ['FP16', Uint16Array.of(0x3c00, 0x7e00)],
  ['FP64', Float64Array.of(0.1, -0)],
  ['INT8', Int8Array.of(-128, 127)],
  ['UINT32', Uint32Array.of(0, 2 ** 32 - 1)],
  ['INT64', BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)],
  ['UINT64', BigUint64Array.of(0n, 2n ** 64n - 1n)],
  ['BOOL', Uint8Array.of(0, 1)],
  ['BYTES', ['', 'gr\u00fc\u00df dich \u{1f44b}']],
] as const)('%s goes through a worker and ONNX Runtime unchanged', async (datatype, data) => {
  const session = await startHost(1).open(modelFile(datatype, identityModel(datatype, ['n'])));
  const { outputs } = await session.run([{ name: 'x', datatype, shape: [2], data }]);
  expect(outputs).toEqual([{ name: 'y', datatype, shape: [2], data }]);
});

test('what a model throws rejects its run alone', async () => {
  const session = await startHost(1).open(tiny());
  const wrong = { ...row(1, 2, 3), shape: [3, 1] };
  await expect(session.run([wrong])).rejects.toMatchObject({
    code: 'inference_failed',
    message: expect.stringContaining('model tiny version 1: '),
  });
  await expect(session.run([row(1, 0, 0)])).resolves.toMatchObject({ outputs: [{ data: Float32Array.of(2) }] });
});
describe('letting go', () => {
  test('a model is released after its runs', async () => {
    const session = await startHost(1).open(tiny());
    const run = session.run([row(1, 0, 0)]);
    await session.release();
    await expect(run).resolves.toMatchObject({ outputs: [{ data: Float32Array.of(2) }] });
    await expect(session.run([row(1, 0, 0)])).rejects.toThrow('has been released');
  });

  test('closing rejects what is under way or waits, and leaves no process', async () => {
    const host = startHost(2);
    const slow = await host.open(power());
    const started = await descendantsOf(process.pid);
    const runs = Array.from({ length: 4 }, () => slow.run([ENDLESS]));
    const settled = Promise.allSettled(runs);
    await host.close();
    for (const run of await settled)
      expect(run).toMatchObject({ status: 'rejected', reason: { code: 'model_not_ready' } });
    expect(await stillRunning(started.filter(({ command }) => command.includes('worker.js')))).toEqual([]);
    await expect(host.open(tiny())).rejects.toMatchObject({ code: 'model_not_ready' });
  });

  test('workers end when no model is open, and are back for the next one', async () => {
    const host = startHost(2, { idleMs: 1 });
    await (await host.open(tiny())).release();
    await until(() => host.counts().workers.ready === 0);
    const session = await host.open(tiny());
    await expect(session.run([row(1, 0, 0)])).resolves.toBeDefined();
    expect(host.counts()).toMatchObject({ deaths: {}, restarts: 0 });
  });
});

test('a model is where it was opened, and in every worker once it is spread', async () => {
  const host = startHost(2);
  const session = await host.open(tiny());
  await until(() => host.counts().workers.ready === 2);
  const path = pathOf('tiny.onnx');
  rmSync(path);
  execFileSync('mkfifo', [path]);
  await session.run([row(1, 0, 0)]);
  expect(openForWriting(path)).toBeUndefined();
  session.spread?.();
  let writer: number | undefined;
  await until(() => {
    writer = openForWriting(path);
    return writer !== undefined;
  });
  closeSync(writer ?? 0);
  await expect(session.run([row(1, 0, 0)])).resolves.toBeDefined();
  rmSync(path);
});

test('the kernel is told to take a worker first when memory runs out', async () => {
  await startHost(1).open(tiny());
  for (const pid of await workerPids()) expect(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8')).toBe('1000\n');
  expect.hasAssertions();
});

test('a worker that cannot be started refuses no model for good', async () => {
  const host = startHost(1, { command: { program: '/nowhere/node', args: [] } });
  const opened = host.open(tiny());
  await expect(opened).rejects.toThrow('could not be started: spawn /nowhere/node ENOENT');
  await expect(opened).rejects.not.toThrow(RefusedModel);
});
