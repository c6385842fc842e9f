/** @jest-environment ./test/support/onnx-environment.cjs */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readBinaryElements } from '../../../../containers/edge/inference/binary-elements';
import { elementsOf, parseTensor } from '../../../../containers/edge/inference/tensors';
import { elementsAgree } from '../../../../lib/core/golden';
import type { TensorValue } from '../../../../lib/core/manifest';
import { type RunningEdge, startEdge } from '../../../support/edge-service';
import { inferBinary } from '../../../support/infer-client';

interface Case {
  readonly id: string;
  readonly request: { readonly inputs: readonly TensorValue[] };
  readonly response: { readonly outputs: readonly TensorValue[] };
}

interface CaseFile {
  readonly model: string;
  readonly version: string;
  readonly tolerance: { readonly rel: number };
  readonly metadata: { readonly inputs: readonly object[]; readonly outputs: readonly object[] };
  readonly cases: readonly Case[];
}

const SHARED_MODELS = resolve(__dirname, '../../../../../shared/models');
const describeShared = existsSync(SHARED_MODELS) ? describe : describe.skip;

function caseFiles(): CaseFile[] {
  if (!existsSync(SHARED_MODELS)) return [];
  const directories = (path: string) =>
    readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [join(path, entry.name)] : [],
    );
  return directories(SHARED_MODELS)
    .flatMap(directories)
    .map((version) => JSON.parse(readFileSync(join(version, 'cases.json'), 'utf8')) as CaseFile)
    .filter(({ cases }) => cases.length > 0);
}

const FILES = caseFiles().map((file) => [`${file.model} ${file.version}`, file] as const);

function expectSameTensors(actual: readonly TensorValue[], expected: readonly TensorValue[], tolerance: number): void {
  const signature = ({ name, datatype, shape }: TensorValue) => ({ name, datatype, shape });
  expect(actual.map(signature)).toEqual(expected.map(signature));
  for (const [i, tensor] of expected.entries()) {
    const data = actual[i]?.data ?? [];
    expect(data).toHaveLength(tensor.data.length);
    const wrong = tensor.data.findIndex((value, at) => !elementsAgree(value, data[at], tolerance));
    expect({ output: tensor.name, wrong, got: data[wrong] }).toEqual({
      output: tensor.name,
      wrong: -1,
      got: undefined,
    });
  }
}

describeShared(`the models of ${SHARED_MODELS} (skipped where that folder is absent)`, () => {
  let edge: RunningEdge;
  beforeAll(async () => {
    edge = await startEdge({ MODELS_DIR: SHARED_MODELS, DEFAULT_MODEL: 'digits_mlp' });
  });
  afterAll(() => edge.stop());

  const pathOf = ({ model, version }: CaseFile) => `/v2/models/${model}/versions/${version}`;

  it.each(FILES)('answer all cases of %s in JSON', async (_, file) => {
    for (const { id, request, response } of file.cases) {
      const answer = await edge.post(`${pathOf(file)}/infer`, request);
      const names = { model_name: file.model, model_version: file.version, id };
      expect(answer).toMatchObject({ status: 200, body: names });
      const { outputs } = answer.body as Case['response'];
      expectSameTensors(outputs, response.outputs, file.tolerance.rel);
    }
  });

  it.each(FILES)('answer all cases of %s as binary data', async (_, file) => {
    for (const { id, request, response } of file.cases) {
      const inputs = request.inputs.map((input) => parseTensor(input, input.shape, input.data, input.name));
      const answer = await inferBinary(`${edge.url}${pathOf(file)}/infer`, inputs, { id });
      expect(answer).toMatchObject({ status: 200, json: { id } });
      const outputs = (answer.json.outputs as TensorValue[]).map((output) => {
        const { name, datatype, shape } = output;
        const bytes = answer.binary.get(name) ?? Buffer.alloc(0);
        const count = shape.reduce((product, axis) => product * axis, 1);
        const data = readBinaryElements(datatype, bytes, count, name);
        return { name, datatype, shape, data: Array.from(elementsOf({ name, datatype, shape, data })) as number[] };
      });
      expectSameTensors(outputs, response.outputs, file.tolerance.rel);
    }
  });

  it.each(FILES)('describe themselves: %s', async (_, file) => {
    const answer = await edge.get(pathOf(file));
    expect(answer).toMatchObject({ status: 200, body: { name: file.model, platform: 'onnx_onnxv1' } });
    expect(answer.body).toMatchObject({ inputs: file.metadata.inputs, outputs: file.metadata.outputs });
  });

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
