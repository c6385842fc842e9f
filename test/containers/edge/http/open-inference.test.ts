/** @jest-environment ./test/support/onnx-environment.cjs */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { elementsAgree } from '../../../../lib/core/golden';
import { type RunningEdge, startEdge, temporaryDirectory } from '../../../support/edge-service';
import { tinyModel, writeModel } from '../../../support/tiny-models';

interface WireTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly (number | string | boolean)[];
}

interface Case {
  readonly id: string;
  readonly request: object;
  readonly response: { readonly outputs: readonly WireTensor[] };
}

interface CaseFile {
  readonly model: string;
  readonly version: string;
  readonly tolerance: { readonly rel: number };
  readonly metadata: { readonly inputs: readonly object[]; readonly outputs: readonly object[] };
  readonly cases: readonly Case[];
}

const SHARED_MODELS = resolve(__dirname, '../../../../../shared/models');
const TESTED = [
  'digits_mlp',
  'iris',
  'simple',
  'simple_string',
  'simple_identity',
  'mnist_cnn',
  'silero_vad_v5',
  'magika',
];
const describeShared = existsSync(SHARED_MODELS) ? describe : describe.skip;

function caseFiles(): CaseFile[] {
  if (!existsSync(SHARED_MODELS)) return [];
  return TESTED.flatMap((model) =>
    readdirSync(join(SHARED_MODELS, model), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(
        (entry) => JSON.parse(readFileSync(join(SHARED_MODELS, model, entry.name, 'cases.json'), 'utf8')) as CaseFile,
      ),
  );
}

function expectSameTensors(actual: readonly WireTensor[], expected: readonly WireTensor[], tolerance: number): void {
  const signature = ({ name, datatype, shape }: WireTensor) => ({ name, datatype, shape });
  expect(actual.map(signature)).toEqual(expected.map(signature));
  for (const [i, tensor] of expected.entries()) {
    const data = actual[i]?.data ?? [];
    const wrong = tensor.data.findIndex((value, at) => {
      const got = data[at];
      return typeof got === 'boolean' ? got !== value : !elementsAgree(value, got, tolerance);
    });
    expect({ output: tensor.name, wrong, got: data[wrong] }).toEqual({
      output: tensor.name,
      wrong: -1,
      got: undefined,
    });
    expect(data).toHaveLength(tensor.data.length);
  }
}

describeShared(`the models of ${SHARED_MODELS} (skipped where that folder is absent)`, () => {
  let edge: RunningEdge;
  beforeAll(async () => {
    edge = await startEdge({ MODELS_DIR: SHARED_MODELS, DEFAULT_MODEL: 'digits_mlp' });
  });
  afterAll(() => edge.stop());

  it.each(caseFiles().map((file) => [`${file.model} ${file.version}`, file] as const))(
    'answer all cases of %s',
    async (_, file) => {
      expect(file.cases.length).toBeGreaterThan(0);
      for (const { id, request, response } of file.cases) {
        const answer = await edge.post(`/v2/models/${file.model}/versions/${file.version}/infer`, request);
        const names = { model_name: file.model, model_version: file.version, id };
        expect(answer).toMatchObject({ status: 200, body: names });
        const { outputs } = answer.body as Case['response'];
        expectSameTensors(outputs, response.outputs, file.tolerance.rel);
      }
    },
  );

  it.each(caseFiles().map((file) => [`${file.model} ${file.version}`, file] as const))(
    'describe themselves: %s',
    async (_, file) => {
      const answer = await edge.get(`/v2/models/${file.model}/versions/${file.version}`);
      expect(answer).toMatchObject({ status: 200, body: { name: file.model, platform: 'onnx_onnxv1' } });
      expect(answer.body).toMatchObject({ inputs: file.metadata.inputs, outputs: file.metadata.outputs });
    },
  );

  it('serve the tensor outputs of a model that also has a map', async () => {
    const answer = await edge.post('/predict', { model: 'iris_zipmap', features: [5.1, 3.5, 1.4, 0.2] });
    expect(answer).toMatchObject({ status: 200, body: { prediction: 0, model: 'iris_zipmap' } });
  });

  it('say what to use where features are not enough', async () => {
    expect(await edge.post('/predict', { model: 'simple', features: [1] })).toMatchObject({
      status: 400,
      body: {
        error: {
          message:
            'model simple cannot be called with features: that needs a single numeric input, and it has ' +
            'INPUT0 INT32, INPUT1 INT32; use POST /v2/models/simple/infer',
        },
      },
    });
  });

  it('check the range of integers', async () => {
    const answer = await edge.post('/predict', { model: 'slow_loop', features: [1.5] });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({
      error: {
        message: expect.stringMatching(
          /^features\[0\] must be an integer from -9223372036854775808 to 9223372036854775807 \(INT64\), got 1.5$/,
        ),
      },
    });
  });
});

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
    expect((await edge.get('/v2')).body).toMatchObject({ name: 'mlcdn', extensions: [] });
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
    [
      { inputs: [input({ shape: [0, 3] })] },
      'inputs[0].shape must be [-1,3] for input features (-1 is any size), got [0,3]',
    ],
    [
      { inputs: [input({ shape: 'x' })] },
      'inputs[0].shape must be [-1,3] for input features (-1 is any size), got "x"',
    ],
    [{ inputs: [input({ data: [1, 2] })] }, 'inputs[0].data must have 3 elements for shape [1,3], got 2'],
    [{ inputs: [input({ data: 5 })] }, 'inputs[0].data must be an array of 3 elements, got 5'],
    [{ inputs: [input({ data: [[1, 2]] })] }, 'inputs[0].data[0] must be an array of 3 elements, got 2'],
    [{ inputs: [input({ data: [[1, 2, 'x']] })] }, 'inputs[0].data[2] must be a finite number, got "x"'],
    [{ inputs: [input()], outputs: [{ name: 'y' }] }, 'outputs[0].name must be one of score (model tiny), got "y"'],
    [
      { inputs: [input({ parameters: { binary_data_size: 12 } })] },
      'inputs[0].parameters.binary_data_size: binary tensors are not served',
    ],
  ])('refuses %j', async (body, message) => {
    expect(await infer(body)).toMatchObject({ status: 400, body: { error: message } });
  });

  it('answers its own errors in its own shape', async () => {
    expect(await edge.get('/v2/models/other')).toMatchObject({
      status: 404,
      body: { error: 'there is no model other here; served: tiny' },
    });
    expect(await edge.get('/v2/models/tiny/versions/3/ready')).toMatchObject({
      status: 404,
      body: { error: 'model tiny has no version 3 here; served: 1, 2' },
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
