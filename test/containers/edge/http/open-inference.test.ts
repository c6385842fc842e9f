/** @jest-environment ./test/support/onnx-environment.cjs */
import { type RunningEdge, startEdge, temporaryDirectory } from '../../../support/edge-service';
import { tinyModel, writeModel } from '../../../support/tiny-models';

describe('Open Inference Protocol v2', () => {
  let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
  let edge: RunningEdge;
  const infer = (body: unknown) => edge.post('/v2/models/tiny/infer', body);
  const input = (changes: object = {}) => ({
    name: 'features',
    datatype: 'FP32',
    shape: [1, 3],
    data: [1, 2, 3],
    ...changes,
  });

  beforeAll(async () => {
    folder = await temporaryDirectory();
    await writeModel(folder.path, 'tiny', '1', tinyModel(1));
    await writeModel(folder.path, 'tiny', '2', tinyModel(2));
    edge = await startEdge({ MODELS_DIR: folder.path });
  });
  afterAll(async () => {
    await edge.stop();
    await folder.remove();
  });

  it('describes server, health and models', async () => {
    expect((await edge.get('/v2')).body).toMatchObject({
      name: 'mlcdn',
      extensions: expect.arrayContaining(['binary_tensor_data', 'classification']),
    });
    expect(await edge.get('/v2/health/live')).toMatchObject({ status: 200, body: { live: true } });
    expect(await edge.get('/v2/health/ready')).toMatchObject({ status: 200, body: { ready: true } });
    expect(await edge.get('/v2/models/tiny/ready')).toMatchObject({ status: 200, body: { name: 'tiny', ready: true } });
    expect((await edge.get('/v2/models/tiny')).body).toMatchObject({ versions: ['1', '2'] });
  });

  it('takes flat and nested data, and shares its entries with /predict', async () => {
    const flat = await infer({ id: 'a', inputs: [input({ data: [3, 4, 5] })] });
    expect(flat.body).toEqual({
      model_name: 'tiny',
      model_version: '2',
      id: 'a',
      outputs: [{ name: 'score', datatype: 'FP32', shape: [1, 1], data: [24] }],
    });
    const nested = await infer({ inputs: [input({ data: [[3, 4, 5]] })], outputs: [{ name: 'score' }] });
    expect(nested.headers.get('cache-status')).toMatch(/^mlcdn-edge; hit; detail=memory/);
    expect((await edge.post('/predict', { features: [3, 4, 5] })).body).toMatchObject({ prediction: 24, cached: true });
  });

  it('runs a batch', async () => {
    const answer = await infer({ inputs: [input({ shape: [2, 3], data: [1, 1, 1, 2, 2, 2] })] });
    expect(answer.body).toMatchObject({ outputs: [{ shape: [2, 1], data: [6, 12] }] });
  });

  it.each([
    [{}, 'inputs must be an array, got nothing'],
    [{ inputs: [] }, 'inputs lacks "features", which model tiny needs'],
    [{ inputs: [input(), input()] }, 'inputs[1].name repeats "features"'],
    [{ inputs: [input({ name: 'x' })] }, 'inputs[0].name must be one of features (model tiny), got "x"'],
    [{ inputs: [input({ datatype: 'INT64' })] }, 'inputs[0].datatype must be "FP32" for input features, got "INT64"'],
    [
      { inputs: [input({ shape: [1, 4] })] },
      'inputs[0].shape must be [-1,3] for input features (-1 is any size), got [1,4]',
    ],
    ...[[-1, 3], [0.5, 3], [2 ** 31, 3], [1], []].map((shape): [object, string] => [
      { inputs: [input({ shape })] },
      `inputs[0].shape must be [-1,3] for input features (-1 is any size), got [${shape}]`,
    ]),
    [
      { inputs: [input({ shape: [2 ** 30, 3] })] },
      'inputs[0].data must have 3221225472 elements for shape [1073741824,3], got 3',
    ],
    [
      { inputs: [input({ shape: [2 ** 30, 3], data: [[1]] })] },
      'inputs[0].data must be an array of 1073741824 elements, got 1',
    ],
    [
      { inputs: [input({ shape: 'x' })] },
      'inputs[0].shape must be [-1,3] for input features (-1 is any size), got "x"',
    ],
    [{ inputs: [input({ data: [1, 2] })] }, 'inputs[0].data must have 3 elements for shape [1,3], got 2'],
    [{ inputs: [input({ data: 5 })] }, 'inputs[0].data must be an array of 3 elements, got 5'],
    [{ inputs: [input({ data: [[1, 2]] })] }, 'inputs[0].data[0] must be an array of 3 elements, got 2'],
    [
      { inputs: [input({ data: [[1, 2, 'x']] })] },
      'inputs[0].data[0][2] must be a number, or "NaN", "Infinity" or "-Infinity", got "x"',
    ],
    [{ inputs: [input()], outputs: [{ name: 'y' }] }, 'outputs[0].name must be one of score (model tiny), got "y"'],
    [{ inputs: [input()], outputs: [{ name: 'score' }, { name: 'score' }] }, 'outputs[1].name repeats "score"'],
    [{ inputs: [input()], outputs: {} }, 'outputs must be an array, got {}'],
    [{ inputs: [input()], id: 7 }, 'id must be a string, got 7'],
    [{ inputs: [input({ data: [1, 2, 1e39] })] }, 'inputs[0].data[2] must be a number that FP32 can hold, got 1e+39'],
    [
      { inputs: [input({ parameters: { binary_data_size: 12 } })] },
      'inputs[0] must have either data or parameters.binary_data_size, got both',
    ],
    [
      { inputs: [input({ data: undefined, parameters: { binary_data_size: 12 } })] },
      'inputs[0].parameters.binary_data_size must be at most 0, the bytes of binary data that are left in the body, got 12',
    ],
    [
      { inputs: [input({ data: undefined, parameters: { shared_memory_region: 'a' } })] },
      'inputs[0].parameters.shared_memory_region: shared memory is not served; send the data',
    ],
    [{ inputs: [input()], parameters: [] }, 'parameters must be a JSON object, got []'],
    [
      { inputs: [input()], parameters: { timeout: -1 } },
      'parameters.timeout must be a whole number of microseconds, got -1',
    ],
    [
      { inputs: [input()], parameters: { binary_data_output: 1 } },
      'parameters.binary_data_output must be true or false, got 1',
    ],
    [
      { inputs: [input()], outputs: [{ name: 'score', parameters: { classification: 'x' } }] },
      'outputs[0].parameters.classification must be a number of classes, got "x"',
    ],
  ])('refuses %j', async (body, message) => {
    expect(await infer(body)).toMatchObject({ status: 400, body: { error: message } });
  });

  it('runs a batch of no rows', async () => {
    for (const data of [[], [[]].slice(1)]) {
      const answer = await infer({ inputs: [input({ shape: [0, 3], data })] });
      expect(answer).toMatchObject({ status: 200, body: { outputs: [{ shape: [0, 1], data: [] }] } });
    }
  });

  it('ignores parameters that it does not know, and members of objects that are no names of inputs', async () => {
    const parameters = { sequence_id: 3, sequence_start: true, priority: 1, mine: { a: 1 }, timeout: 0 };
    const answer = await infer({ parameters, inputs: [input({ parameters: { mine: 1 }, other: 2 })], more: 1 });
    expect(answer.status).toBe(200);
    expect((await infer({ inputs: [input({ name: '__proto__' })] })).status).toBe(400);
  });

  it('takes NaN and infinities as strings and answers with them', async () => {
    const answer = await infer({ inputs: [input({ shape: [2, 3], data: ['NaN', 1, 1, '-Infinity', 0, 0] })] });
    expect(answer.body).toMatchObject({ outputs: [{ data: ['NaN', '-Infinity'] }] });
  });

  it('refuses a value however deep or long, showing its beginning', async () => {
    const deep = await infer(`{"inputs":${'['.repeat(200_000)}${']'.repeat(200_000)}}`);
    expect(deep).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/^inputs\[0\] must be a JSON object, got \[\[/) },
    });
    const long = await infer({ inputs: 'x'.repeat(1_000_000) });
    expect(long.body).toEqual({ error: `inputs must be an array, got "${'x'.repeat(79)}...` });
  });

  it.each([
    ['POST', '/v2', 'GET, HEAD'],
    ['DELETE', '/v2/models/tiny', 'GET, HEAD'],
    ['PUT', '/v2/models/tiny/versions/2/ready', 'GET, HEAD'],
    ['GET', '/v2/models/tiny/infer', 'POST'],
  ])('answers 405 to %s %s', async (method, path, allowed) => {
    const answer = await fetch(edge.url + path, { method });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe(allowed);
    expect(await answer.json()).toEqual({ error: `${path} does not answer ${method}` });
  });

  it('answers a path with a broken escape in the shape of the path', async () => {
    expect(await edge.get('/v2/models/%zz')).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('%zz') },
    });
    expect(await edge.get('/%zz')).toMatchObject({ status: 400, body: { error: { code: 'invalid_request' } } });
  });

  it('gives up at the deadline of the request', async () => {
    const inputs = [input({ data: [7, 7, 7] })];
    // One microsecond has always passed by the time that the body has been read.
    expect(await infer({ inputs, parameters: { timeout: 1 } })).toMatchObject({
      status: 504,
      body: { error: expect.stringContaining('tiny') },
    });
    const path = '/v2/models/tiny/infer';
    expect(await edge.post(path, { inputs }, { 'x-request-timeout-ms': '60000' })).toMatchObject({ status: 200 });
    for (const wrong of ['0', '-1', '1.5', 'soon', '86400001']) {
      expect(await edge.post(path, { inputs }, { 'x-request-timeout-ms': wrong })).toMatchObject({
        status: 400,
        body: {
          error: `header x-request-timeout-ms must be a whole number of milliseconds from 1 to 86400000, got "${wrong}"`,
        },
      });
    }
    for (const [own, body] of [
      ['/predict', { features: [8, 8, 8] }],
      ['/batch_predict', { features: [[8, 8, 9]] }],
    ] as const) {
      expect(await edge.post(own, body, { 'x-request-timeout-ms': 'x' })).toMatchObject({ status: 400 });
      expect(await edge.post(own, body, { 'x-request-timeout-ms': '60000' })).toMatchObject({ status: 200 });
    }
  });

  it('answers its own errors in its own shape', async () => {
    expect(await edge.get('/v2/models/other')).toMatchObject({
      status: 404,
      body: { error: 'Request for unknown model: there is no model other here; served: tiny' },
    });
    expect(await edge.get('/v2/models/tiny/versions/3/ready')).toMatchObject({
      status: 404,
      body: { error: 'Request for unknown model: model tiny has no version 3 here; served: 1, 2' },
    });
    expect(await edge.get('/v2/nothing')).toMatchObject({
      status: 404,
      body: { error: 'there is no GET /v2/nothing' },
    });
    expect(await infer('{')).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/^the body must be JSON/) },
    });
  });
});
