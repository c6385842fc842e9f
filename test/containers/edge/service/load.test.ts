/** @jest-environment ./test/support/onnx-environment.cjs */
import { type RunningEdge, startEdge, temporaryDirectory } from '../../../support/edge-service';
import { tinyModel, writeModel } from '../../../support/tiny-models';

let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let edge: RunningEdge;

beforeAll(async () => {
  folder = await temporaryDirectory();
  await writeModel(folder.path, 'tiny', '1', tinyModel(1));
  edge = await startEdge({ MODELS_DIR: folder.path });
});
afterAll(async () => {
  await edge.stop();
  await folder.remove();
});

it('the load of the process is in /health, and in the metrics', async () => {
  const predictions = Array.from({ length: 50 }, (_, n) => edge.post('/predict', { features: [n, 1, 2] }));
  for (const [n, answer] of (await Promise.all(predictions)).entries()) {
    expect(answer.body).toMatchObject({ prediction: n + 3, cached: false });
  }
  const { body } = await edge.get('/health');
  expect(body).toMatchObject({ status: 'ok', load: expect.any(Number) });
  const { load } = body as { load: number };
  expect(load).toBeGreaterThanOrEqual(0);
  expect(load).toBeLessThanOrEqual(1);
  const metrics = await (await fetch(`${edge.url}/metrics`)).text();
  expect(metrics).toMatch(/^cdn_load\{region="eu-west-1"\} (0|1|0\.\d+(e-\d+)?)$/m);
});
