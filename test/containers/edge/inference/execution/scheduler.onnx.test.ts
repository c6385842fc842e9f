/** @jest-environment ./test/support/onnx-environment.cjs */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { demandOf } from '../../../../../containers/edge/inference/execution/demand';
import { InlineHost } from '../../../../../containers/edge/inference/execution/inline-host';
import { Scheduler } from '../../../../../containers/edge/inference/execution/scheduler';
import type { RunnableSession } from '../../../../../containers/edge/inference/execution/types';
import type { Tensor } from '../../../../../containers/edge/inference/tensors';
import { temporaryDirectory } from '../../../../support/edge-service';
import { tinyModel } from '../../../../support/tiny-models';
import { queueFor } from './virtual-time';

const SHARED_MODELS = join(__dirname, '../../../../../../shared/models');
const always = demandOf(undefined);

let host: InlineHost;
let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
beforeAll(async () => {
  host = new InlineHost();
  folder = await temporaryDirectory();
});
afterAll(async () => {
  await host.close();
  await folder.remove();
});

async function open(path: string): Promise<RunnableSession> {
  const sha256 = createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
  return host.open({ model: 'm', version: '1', path, sha256 });
}

/** Requests of one to five rows, another for every seed. */
function requestsOf(session: RunnableSession, count: number): Tensor[] {
  const [spec] = session.inputs;
  if (spec === undefined) throw new Error('the model has no input');
  const width = spec.shape.slice(1).reduce((product, axis) => product * axis, 1);
  return Array.from({ length: count }, (_, n) => {
    const rows = 1 + (n % 5);
    const values = Array.from({ length: rows * width }, (_, i) => ((n * 31 + i * 17) % 256) / (i % 3 === 0 ? 1 : 16));
    const data = spec.datatype === 'INT32' ? Int32Array.from(values) : Float32Array.from(values);
    return { name: spec.name, datatype: spec.datatype, shape: [rows, ...spec.shape.slice(1)], data };
  });
}

/** Runs requests each alone and all at once, and compares. */
async function compare(session: RunnableSession, count: number): Promise<ReturnType<typeof queueFor>> {
  const scheduler = new Scheduler();
  const queue = queueFor(session);
  const requests = requestsOf(session, count);
  await scheduler.run(queue, [requests[0] as Tensor], always);
  const together = await Promise.all(requests.map((request) => scheduler.run(queue, [request], always)));
  for (const [n, request] of requests.entries()) {
    const { outputs: alone } = await session.run([request]);
    expect(together[n]?.map(({ name, datatype, shape }) => ({ name, datatype, shape }))).toEqual(
      alone.map(({ name, datatype, shape }) => ({ name, datatype, shape: [...shape] })),
    );
    for (const [i, output] of alone.entries()) {
      const data = together[n]?.[i]?.data ?? [];
      expect(data).toHaveLength(output.data.length);
      for (let at = 0; at < output.data.length; at += 1) {
        const right = Number(output.data[at]);
        expect(Math.abs(Number(data[at]) - right)).toBeLessThanOrEqual(1e-5 + 1e-3 * Math.abs(right));
      }
    }
  }
  return queue;
}

it('rows run together give what they give alone', async () => {
  const path = join(folder.path, 'model.onnx');
  await writeFile(path, tinyModel(2));
  const { statistics } = await compare(await open(path), 200);
  expect(statistics.inferenceCount).toBe(601);
  expect(statistics.executionCount).toBeLessThan(50);
});

describe.each(['digits_mlp', 'magika'])('%s', (name) => {
  const path = join(SHARED_MODELS, name, '1', 'model.onnx');
  const test = existsSync(path) ? it : it.skip;
  test(`gives together what it gives alone (needs ${path})`, async () => {
    const { statistics } = await compare(await open(path), 30);
    expect(statistics.failedBatches).toBe(0);
    expect(statistics.executionCount).toBeLessThan(statistics.inferenceCount);
  });
});

it('a request that ONNX Runtime refuses fails by itself', async () => {
  const path = join(folder.path, 'model.onnx');
  await writeFile(path, tinyModel(2));
  const session = await open(path);
  const scheduler = new Scheduler();
  const queue = queueFor(session);
  const [good] = requestsOf(session, 1) as [Tensor];
  await scheduler.run(queue, [good], always);
  const wrong: Tensor = { name: 'features', datatype: 'FP32', shape: [1, 7], data: new Float32Array(7) };
  const [first, refused, last] = await Promise.allSettled([
    scheduler.run(queue, [good], always),
    scheduler.run(queue, [wrong], always),
    scheduler.run(queue, [good], always),
  ]);
  expect([first.status, last.status]).toEqual(['fulfilled', 'fulfilled']);
  expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'inference_failed' } });
});
