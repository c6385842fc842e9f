/** @jest-environment ./test/support/onnx-environment.cjs */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { channelKey } from '../../../../lib/core/channel';
import { manifestKey, modelKey } from '../../../../lib/core/model-name';
import { startBucket, type TestBucket } from '../../../support/bucket';
import { type RunningEdge, startEdge, temporaryDirectory } from '../../../support/edge-service';
import { tinyManifest, tinyModel, writeModel } from '../../../support/tiny-models';

let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let edge: RunningEdge | undefined;
const environmentBefore = { ...process.env };

beforeEach(async () => {
  folder = await temporaryDirectory();
});
afterEach(async () => {
  process.env = { ...environmentBefore };
  await edge?.stop();
  edge = undefined;
  await folder.remove();
});

const unavailable = (reason: string) => ({
  status: 503,
  body: { status: 'unavailable', reason: expect.stringContaining(`the default model tiny is not served: ${reason}`) },
});

describe('a folder without a default model that can serve', () => {
  it('gets no traffic, and says that the model is not there', async () => {
    await writeModel(folder.path, 'other', '1', tinyModel(2), tinyManifest('1', 2, { model: 'other' }));
    edge = await startEdge({ MODELS_DIR: folder.path, DEFAULT_MODEL: 'tiny' });
    expect(await edge.get('/health')).toMatchObject(unavailable('it is not in the folder'));
    expect(await edge.get('/v2/health/ready')).toMatchObject({ status: 503, body: { ready: false } });
  });

  it('gets no traffic, and says why the model is refused', async () => {
    await mkdir(join(folder.path, 'tiny', '1'), { recursive: true });
    await writeFile(join(folder.path, 'tiny', '1', 'model.onnx'), 'no model');
    edge = await startEdge({ MODELS_DIR: folder.path, DEFAULT_MODEL: 'tiny' });
    expect(await edge.get('/health')).toMatchObject(unavailable('version 1: model.onnx is not a whole ONNX file'));
  });

  it('is healthy where no model is the default', async () => {
    edge = await startEdge({ MODELS_DIR: folder.path });
    expect(await edge.get('/health')).toMatchObject({ status: 200 });
  });
});

it('stays healthy when the default model can serve no more', async () => {
  await writeModel(folder.path, 'tiny', '1', tinyModel(2), tinyManifest('1', 2));
  edge = await startEdge({ MODELS_DIR: folder.path, DEFAULT_MODEL: 'tiny' });
  expect(await edge.get('/health')).toMatchObject({ status: 200, body: { models: { tiny: '1' } } });
  expect((await fetch(`${edge.url}/v2/repository/models/tiny/unload`, { method: 'POST' })).status).toBe(200);
  expect(await edge.get('/health')).toMatchObject({ status: 200, body: { models: {} } });
});

describe('a bucket', () => {
  let bucket: TestBucket;

  beforeEach(async () => {
    bucket = await startBucket();
    const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_MAX_ATTEMPTS: '1' };
    Object.assign(process.env, { AWS_ENDPOINT_URL: bucket.endpoint, ...credentials });
  });
  afterEach(() => bucket.stop());

  const start = () =>
    startEdge({
      MODEL_BUCKET: bucket.name,
      DEFAULT_MODEL: 'tiny',
      DISK_CACHE_DIR: folder.path,
      CHANNEL_POLL_SECONDS: '1',
    });
  const moveChannel = (revision: number, production: string) => {
    const updatedAt = '2026-01-01T00:00:00.000Z';
    bucket.put(
      channelKey('tiny'),
      JSON.stringify({ schemaVersion: 1, model: 'tiny', production, revision, updatedAt }),
    );
  };
  const publish = (version: string, onnx: Buffer | Uint8Array, factor: number) => {
    bucket.put(modelKey('tiny', version), Buffer.from(onnx));
    bucket.put(manifestKey('tiny', version), JSON.stringify(tinyManifest(version, factor)));
  };
  const health = () => (edge as RunningEdge).get('/health');
  const until = async (probe: () => Promise<boolean>): Promise<void> => {
    while (!(await probe())) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const isRefused = async (version: string): Promise<boolean> => {
    const text = await (await fetch(`${(edge as RunningEdge).url}/metrics`)).text();
    return new RegExp(`^cdn_model_refused\\{.*version="${version}".*\\} 1`, 'm').test(text);
  };

  it('in which nothing is published leaves nothing to wait for, nor when what is published first is refused', async () => {
    edge = await start();
    await until(async () => (await health()).status === 200);
    expect(await health()).toMatchObject({ body: { models: {} } });
    // The second one is tried when the refusal of the first is known everywhere in the task.
    for (const [revision, version] of [
      [1, '1'],
      [2, '2'],
    ] as const) {
      publish(version, tinyModel(3), 2);
      moveChannel(revision, version);
      await until(() => isRefused(version));
    }
    expect(await health()).toMatchObject({ status: 200, body: { models: {} } });
  });

  it('whose channel names a version that is refused gets no traffic until one serves, and keeps it then', async () => {
    publish('1', tinyModel(3), 2);
    moveChannel(1, '1');
    edge = await start();
    await until(() => isRefused('1'));
    await until(async () => JSON.stringify((await health()).body).includes('default model'));
    expect(await health()).toMatchObject(unavailable(''));
    publish('2', tinyModel(2), 2);
    moveChannel(2, '2');
    await until(async () => (await health()).status === 200);
    publish('3', tinyModel(4), 2);
    moveChannel(3, '3');
    await until(() => isRefused('3'));
    expect(await health()).toMatchObject({ status: 200, body: { models: { tiny: '2' } } });
  });
});
