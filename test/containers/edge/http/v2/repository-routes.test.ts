/** @jest-environment ./test/support/onnx-environment.cjs */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type RunningEdge, startEdge, temporaryDirectory } from '../../../../support/edge-service';
import { identityModel, integerModel } from '../../../../support/odd-models';
import { tinyManifest, tinyModel, writeModel } from '../../../../support/tiny-models';

let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let edge: RunningEdge;

beforeEach(async () => {
  folder = await temporaryDirectory();
});
afterEach(async () => {
  await edge.stop();
  await folder.remove();
});

const start = async (environment: Record<string, string> = {}) => {
  edge = await startEdge({ MODELS_DIR: folder.path, MODEL_WORKERS: '1', ...environment });
};
const index = async (body: unknown = {}) => (await edge.post('/v2/repository/index', body)).body;
const ask = (verb: 'load' | 'unload', parameters?: object) =>
  edge.post(`/v2/repository/models/tiny/${verb}`, parameters === undefined ? '' : { parameters });
const predict = async (version?: string) => (await edge.post('/predict', { features: [1, 2, 3], version })).body;
const ready = (version: string) => ({ name: 'tiny', version, state: 'READY', reason: '' });
const idle = (version: string, reason: string) => ({ name: 'tiny', version, state: 'UNAVAILABLE', reason });

describe('a folder', () => {
  it('is indexed with the reason why a version does not serve; the highest that may serve does', async () => {
    await writeModel(folder.path, 'tiny', '9', tinyModel(9));
    await writeModel(folder.path, 'tiny', '10', tinyModel(10));
    await writeModel(folder.path, 'tiny', '11', tinyModel(11), tinyManifest('11', 1));
    await start();
    const refused = expect.stringMatching(/^model\.onnx should have SHA-256 .*/);
    expect(await index()).toEqual([ready('9'), ready('10'), idle('11', refused)]);
    const metrics = await (await fetch(`${edge.url}/metrics`)).text();
    const told = metrics.split('\n').filter((line) => line.startsWith('cdn_model_refused{'));
    expect(told).toEqual(['cdn_model_refused{model="tiny",version="11",region="eu-west-1"} 1']);
    expect(await index({ ready: true })).toEqual([ready('9'), ready('10')]);
    expect(await predict()).toMatchObject({ prediction: 60, version: '10' });
    expect(await edge.post('/v2/repository/index', { ready: 'yes' })).toMatchObject({
      status: 400,
      body: { error: 'ready must be true or false, got "yes"' },
    });
  });

  it.each([
    ['latest', ['3']],
    ['latest:2', ['2', '3']],
    ['specific:1,3', ['1', '3']],
    ['all', ['1', '2', '3']],
  ])('serves the versions of the policy %s', async (policy, versions) => {
    for (const version of ['1', '2', '3']) await writeModel(folder.path, 'tiny', version, tinyModel(Number(version)));
    await start({ MODEL_VERSION_POLICY: policy });
    const entry = (version: string) =>
      versions.includes(version) ? ready(version) : idle(version, 'not selected by the version policy');
    expect(await index()).toEqual(['1', '2', '3'].map(entry));
    expect(await predict()).toMatchObject({ version: '3' });
  });

  it('heeds version policy and batch size of config.pbtxt, and refuses one that it cannot read', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1));
    await writeModel(folder.path, 'tiny', '2', tinyModel(2));
    const config = join(folder.path, 'tiny', 'config.pbtxt');
    await writeFile(config, 'max_batch_size: 4 # rows\nversion_policy { specific { versions: [1] } }\n');
    await start();
    expect(await predict()).toMatchObject({ version: '1' });
    expect((await edge.get('/v2/models/tiny/config')).body).toMatchObject({ max_batch_size: 4 });
    await writeFile(config, 'max_batch_size: many');
    expect(await ask('load')).toMatchObject({
      status: 400,
      body: { error: "failed to load 'tiny': config.pbtxt max_batch_size: must be a whole number from 0 to 999999999" },
    });
    expect(await predict()).toMatchObject({ version: '1' });
  });

  it('takes the batch size of a load request for every version, until the next load without one', async () => {
    for (const version of ['1', '2']) await writeModel(folder.path, 'tiny', version, tinyModel(Number(version)));
    await start();
    const sizes = async () => {
      const paths = ['1', '2'].map((version) => `/v2/models/tiny/versions/${version}/config`);
      const answers = await Promise.all(paths.map((path) => edge.get(path)));
      return answers.map(({ body }) => (body as { max_batch_size: number }).max_batch_size);
    };
    expect((await ask('load', { config: '{"max_batch_size":"16"}' })).status).toBe(200);
    expect(await sizes()).toEqual([16, 16]);
    expect((await ask('load')).status).toBe(200);
    expect(await sizes()).toEqual([128, 128]);
  });

  it('loads what has come into it since, and the version that a request names', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1));
    await start();
    await writeModel(folder.path, 'tiny', '2', tinyModel(2));
    expect(await predict()).toMatchObject({ version: '1' });
    expect(await ask('load')).toMatchObject({ status: 200, body: {} });
    expect(await predict()).toMatchObject({ prediction: 12, version: '2' });
    expect((await ask('load', { version: '1' })).status).toBe(200);
    expect(await predict()).toMatchObject({ prediction: 6, version: '1' });
    expect(await predict('2')).toMatchObject({ prediction: 12, version: '2' });
    expect(await ask('load', { version: 3 })).toMatchObject({
      status: 400,
      body: { error: "failed to load 'tiny': 3 is not among the versions 1, 2 by policy all" },
    });
  });

  it('goes on with the old version where a new one is refused, and takes it once it is right', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1));
    await start();
    await writeModel(folder.path, 'tiny', '2', identityModel(17));
    expect(await ask('load')).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/^failed to load 'tiny': version 2: inputs should be features FP32/) },
    });
    expect(await index()).toEqual([ready('1'), idle('2', expect.stringMatching(/^inputs should be /))]);
    expect(await predict()).toMatchObject({ prediction: 6, version: '1' });
    await writeModel(folder.path, 'tiny', '2', tinyModel(2));
    expect((await ask('load')).status).toBe(200);
    expect(await predict()).toMatchObject({ prediction: 12, version: '2' });
  });

  it('serves the new bytes of a version that were put in the place of the old, when asked', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1));
    await start();
    expect(await predict()).toMatchObject({ prediction: 6 });
    await writeModel(folder.path, 'tiny', '1', tinyModel(5));
    expect(await predict()).toMatchObject({ prediction: 6, cached: true });
    expect((await ask('load')).status).toBe(200);
    expect(await predict()).toMatchObject({ prediction: 30, cached: false });
    await writeModel(folder.path, 'tiny', '1', tinyModel(Number.NaN));
    expect((await ask('load')).status).toBe(400);
    expect(await predict()).toMatchObject({ prediction: 30 });
  });

  it('is let go of, whole or by version', async () => {
    for (const version of ['1', '2']) await writeModel(folder.path, 'tiny', version, tinyModel(Number(version)));
    await start();
    expect(await ask('unload', { version: '2' })).toMatchObject({
      status: 400,
      body: { error: "failed to unload 'tiny': version 2 of model tiny cannot be unloaded while it serves" },
    });
    expect((await ask('unload', { version: '1' })).status).toBe(200);
    expect(await predict('1')).toMatchObject({ error: { code: 'version_not_found' } });
    expect((await ask('unload')).status).toBe(200);
    expect((await edge.get('/v2/models/tiny/ready')).status).toBe(404);
    expect(await index()).toEqual([idle('1', 'unloaded'), idle('2', 'unloaded')]);
    expect((await ask('load')).status).toBe(200);
    expect(await predict()).toMatchObject({ prediction: 12, version: '2' });
  });

  it('swaps versions under load, prepared anew each time: no request fails, no version answers for another', async () => {
    for (const version of ['1', '2']) await writeModel(folder.path, 'tiny', version, tinyModel(Number(version)));
    await start();
    let running = true;
    const seen = new Set<string>();
    const client = async (from: number) => {
      for (let i = from; running; i += 8) {
        const { status, body } = await edge.post('/predict', { features: [i % 40, 1, 1] });
        const { version, prediction } = body as { version: string; prediction: number };
        expect({ status, prediction }).toEqual({ status: 200, prediction: ((i % 40) + 2) * Number(version) });
        seen.add(version);
      }
    };
    const clients = [0, 1, 2, 3, 4, 5, 6, 7].map(client);
    for (const version of ['1', '2', '1', '2', '1', '2']) {
      expect((await ask('unload', { version })).status).toBe(200);
      expect((await ask('load', { version })).status).toBe(200);
    }
    running = false;
    await Promise.all(clients);
    expect([...seen].sort()).toEqual(['1', '2']);
  });

  it('says what it does not take from a request', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1));
    await start();
    const cases: [object, RegExp][] = [
      [{ config: '{' }, /^failed to load 'tiny': parameters\.config is not JSON: /],
      [{ config: 5 }, /^failed to load 'tiny': parameters\.config must be a text that holds a JSON object, got 5$/],
      [{ config: '{"max_batch_size":-1}' }, /parameters\.config max_batch_size: must be a whole number from 0/],
      [{ 'file:1/model.onnx': 'AA==' }, /parameters\["file:1\/model\.onnx"\]: files are not taken from requests/],
      [{ version: '../1' }, /parameters\.version must be a version, such as "2", got "\.\.\/1"$/],
    ];
    for (const [parameters, error] of cases) {
      expect(await ask('load', parameters)).toMatchObject({
        status: 400,
        body: { error: expect.stringMatching(error) },
      });
    }
    expect(await edge.post('/v2/repository/models/nobody/load', '')).toMatchObject({
      status: 400,
      body: { error: "failed to load 'nobody': there is no such model in the folder" },
    });
  });

  it('is only looked at where clients may not control it', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1));
    await start({ MODEL_CONTROL: 'none' });
    for (const verb of ['load', 'unload'] as const) {
      expect(await ask(verb)).toMatchObject({
        status: 400,
        body: { error: expect.stringMatching(/clients may not load and unload models here/) },
      });
    }
    expect(await index()).toEqual([ready('1')]);
  });

  it('that loses a version keeps what is in memory, and says so when it is asked for again', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1));
    await start();
    await rm(join(folder.path, 'tiny', '1', 'model.onnx'));
    expect(await predict()).toMatchObject({ prediction: 6 });
    expect((await ask('load')).status).toBe(400);
    expect(await predict()).toMatchObject({ prediction: 6 });
  });
});

describe('what a model has done and how it is run', () => {
  it('is in its statistics and metrics', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1));
    await start();
    await predict();
    await predict();
    await edge.post('/batch_predict', {
      features: [
        [7, 7, 7],
        [8, 8, 8],
      ],
    });
    const paths = ['/v2/models/stats', '/v2/models/tiny/stats', '/v2/models/tiny/versions/1/stats'];
    for (const path of paths) {
      expect((await edge.get(path)).body).toMatchObject({
        model_stats: [
          {
            name: 'tiny',
            version: '1',
            last_inference: expect.any(Number),
            inference_count: 3,
            inference_stats: {
              success: { count: 3, ns: expect.any(Number) },
              fail: { count: 0, ns: 0 },
              cache_hit: { count: 1 },
              cache_miss: { count: 3 },
            },
          },
        ],
      });
    }
    expect(await edge.get('/v2/models/tiny/versions/7/stats')).toMatchObject({
      status: 404,
      body: { error: 'Request for unknown model: version 7 of model tiny is not in memory here' },
    });
    const metrics = await (await fetch(`${edge.url}/metrics`)).text();
    const labels = '{model="tiny",version="1",region="eu-west-1"}';
    for (const line of [
      `nv_inference_request_success${labels} 3`,
      `nv_inference_request_failure${labels} 0`,
      `nv_inference_count${labels} 3`,
      `nv_cache_num_hits_per_model${labels} 1`,
      `nv_inference_pending_request_count${labels} 0`,
      `cdn_model_inferences_total${labels} 3`,
      `cdn_model_live${labels} 1`,
      'cdn_model_requests_total{model="tiny",version="1",status="success",region="eu-west-1"} 3',
    ]) {
      expect(metrics.split('\n')).toContain(line);
    }
  });

  it('is in its configuration, as Triton writes it', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1));
    await start();
    expect((await edge.get('/v2/models/tiny/config')).body).toMatchObject({
      name: 'tiny',
      platform: 'onnxruntime_onnx',
      backend: 'onnxruntime',
      version_policy: { specific: { versions: [1] } },
      max_batch_size: 128,
      input: [{ name: 'features', data_type: 'TYPE_FP32', dims: [3] }],
      output: [{ name: 'score', data_type: 'TYPE_FP32', dims: [1] }],
      instance_group: [{ kind: 'KIND_CPU' }],
      dynamic_batching: {},
    });
    expect((await ask('load', { config: '{"max_batch_size":"0"}' })).status).toBe(200);
    const alone = (await edge.get('/v2/models/tiny/versions/1/config')).body;
    expect(alone).toMatchObject({ max_batch_size: 0, input: [{ dims: [-1, 3] }] });
    expect(alone).not.toHaveProperty('dynamic_batching');
    await writeModel(folder.path, 'divider', '1', integerModel('Div'));
    expect((await edge.post('/v2/repository/models/divider/load', {})).status).toBe(200);
    // Where a client could have it divide integers, however short its runs.
    expect((await edge.get('/v2/models/divider/config')).body).toMatchObject({
      parameters: { placement: { string_value: 'worker processes' } },
    });
    expect((await edge.get('/v2/models/other/config')).status).toBe(404);
  });
});
