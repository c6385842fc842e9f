/** @jest-environment ./test/support/onnx-environment.cjs */
import { demandOf } from '../../../../containers/edge/inference/execution/demand';
import { ModelQueue } from '../../../../containers/edge/inference/execution/model-queue';
import { QUEUE_LIMITS } from '../../../../containers/edge/inference/execution/queue-limits';
import { Scheduler } from '../../../../containers/edge/inference/execution/scheduler';
import { systemClock } from '../../../../containers/edge/inference/execution/scheduler-clock';
import type { RunnableSession, RunResult } from '../../../../containers/edge/inference/execution/types';
import { ModelStatistics } from '../../../../containers/edge/inference/model-statistics';
import type { Tensor } from '../../../../containers/edge/inference/tensors';
import { startEdge, temporaryDirectory } from '../../../support/edge-service';
import { tinyManifest, tinyModel, writeModel } from '../../../support/tiny-models';

const row = (value: number): Tensor => ({ name: 'x', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(value) });

/** Gives back what it is asked, in runs whose parts took so long. */
function sessionOf(times: Omit<RunResult, 'outputs'>): RunnableSession {
  return {
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
    outputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
    slots: 1,
    run: async (inputs) => ({ outputs: [...inputs], ...times }),
    release: async () => undefined,
  };
}

function queueOf(session: RunnableSession): ModelQueue {
  return new ModelQueue({
    label: 'model x',
    session,
    batchable: true,
    limits: QUEUE_LIMITS,
    statistics: new ModelStatistics(),
  });
}

it('counts the parts of a run for each row of it, and once for its batch size', async () => {
  const queue = queueOf(sessionOf({ computeMs: 4, inputMs: 2, outputMs: 1 }));
  // A clock that stands still: joining the rows takes no time.
  const scheduler = new Scheduler({ ...systemClock(), now: () => 0 });
  await scheduler.run(queue, [row(0)], demandOf(undefined));
  const outcomes = await scheduler.runRows(
    queue,
    [1, 2, 3].map((value) => [row(value)]),
    () => demandOf(undefined),
  );
  expect(outcomes).toHaveLength(3);
  const { compute, batches } = queue.statistics;
  expect(compute.input).toMatchObject({ count: 4, ns: 8e6 });
  expect(compute.infer).toMatchObject({ count: 4, ns: 16e6 });
  expect(compute.output).toMatchObject({ count: 4, ns: 4e6 });
  expect(batches.get(3)?.input).toMatchObject({ count: 1, ns: 2e6 });
  expect(batches.get(1)?.output).toMatchObject({ count: 1, ns: 1e6 });
});

it('counts joining the rows of a batch as a part of its input', async () => {
  const queue = queueOf(sessionOf({ computeMs: 4 }));
  let now = 0;
  const scheduler = new Scheduler({ ...systemClock(), now: () => now++ });
  await scheduler.run(queue, [row(0)], demandOf(undefined));
  expect(queue.statistics.compute.input.ns).toBe(0);
  await scheduler.runRows(queue, [[row(1)], [row(2)]], () => demandOf(undefined));
  expect(queue.statistics.compute.input.ns).toBeGreaterThan(0);
});

it('tells what handing tensors to ONNX Runtime and taking them from it took', async () => {
  const folder = await temporaryDirectory();
  await writeModel(folder.path, 'tiny', '1', tinyModel(2), tinyManifest('1', 2));
  const edge = await startEdge({ MODELS_DIR: folder.path });
  await edge.post('/predict', { features: [1, 2, 3] });
  const measured = { count: 1, ns: expect.any(Number) };
  const { body } = await edge.get('/v2/models/tiny/stats');
  const parts = { compute_input: measured, compute_infer: measured, compute_output: measured };
  expect(body).toMatchObject({
    model_stats: [{ inference_stats: parts, batch_stats: [{ batch_size: 1, ...parts }] }],
  });
  const { compute_input: input, compute_output: output } = (body as Stats).model_stats[0].inference_stats;
  expect(input.ns).toBeGreaterThan(0);
  expect(output.ns).toBeGreaterThan(0);
  await edge.stop();
  await folder.remove();
});

interface Stats {
  readonly model_stats: [
    { readonly inference_stats: { readonly compute_input: { ns: number }; readonly compute_output: { ns: number } } },
  ];
}
