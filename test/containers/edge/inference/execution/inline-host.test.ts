/** @jest-environment ./test/support/onnx-environment.cjs */
import { InlineHost } from '../../../../../containers/edge/inference/execution/inline-host';
import { RefusedModel } from '../../../../../containers/edge/inference/refused-model';
import { tinyModel } from '../../../../support/tiny-models';
import { modelFile, row } from './harness';

let host: InlineHost;
beforeEach(() => {
  host = new InlineHost();
});
afterEach(() => host.close());

test('a model runs on this thread, one run at a time', async () => {
  const session = await host.open(modelFile('tiny', tinyModel(2)));
  expect(session).toMatchObject({ slots: 1, pool: host, inputs: [{ name: 'features' }], outputs: [{ name: 'score' }] });
  const { outputs, computeMs } = await session.run([row(1, 2, 3)]);
  expect(outputs).toEqual([{ name: 'score', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(12) }]);
  expect(computeMs).toBeGreaterThan(0);
});

test('a model is released after the runs under way, and runs no more', async () => {
  const session = await host.open(modelFile('tiny', tinyModel(2)));
  const runs = [session.run([row(1, 0, 0)]), session.run([row(2, 0, 0)])];
  await Promise.all([session.release(), session.release()]);
  expect((await Promise.all(runs)).map(({ outputs }) => outputs[0]?.data[0])).toEqual([2, 4]);
  await expect(session.run([row(1, 0, 0)])).rejects.toThrow('model tiny version 1 has been released');
});

test('closing waits for the runs under way', async () => {
  const session = await host.open(modelFile('tiny', tinyModel(2)));
  const run = session.run([row(1, 0, 0)]);
  await host.close();
  await expect(run).resolves.toBeDefined();
  await expect(host.open(modelFile('tiny', tinyModel(2)))).rejects.toMatchObject({ code: 'model_not_ready' });
});

test('a run that nobody wants is not begun', async () => {
  const session = await host.open(modelFile('tiny', tinyModel(2)));
  const reason = new Error('the client went away');
  await expect(session.run([row(1, 0, 0)], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  await expect(session.run([row(1, 0, 0)], { deadline: performance.now() })).rejects.toMatchObject({
    code: 'deadline_exceeded',
    status: 504,
  });
});

test('what a model throws rejects its run', async () => {
  const session = await host.open(modelFile('tiny', tinyModel(2)));
  await expect(session.run([{ ...row(1, 2, 3), shape: [3, 1] }])).rejects.toMatchObject({ code: 'inference_failed' });
});

test('other bytes than those meant are refused', async () => {
  const opened = host.open({ ...modelFile('tiny', tinyModel(2)), sha256: '0'.repeat(64) });
  await expect(opened).rejects.toThrow(RefusedModel);
  await expect(opened).rejects.toThrow('should have SHA-256');
});
