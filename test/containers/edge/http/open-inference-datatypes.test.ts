/** @jest-environment ./test/support/onnx-environment.cjs */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { elementsAsJson } from '../../../../containers/edge/inference/element-text';
import { tensorBytes } from '../../../../containers/edge/inference/tensors';
import { Datatype } from '../../../../lib/core/manifest';
import { type RunningEdge, startEdge, temporaryDirectory } from '../../../support/edge-service';
import { identityModel } from '../../../support/identity-model';
import { inferBinary, postInfer } from '../../../support/infer-client';
import { tensorOf } from '../../../support/tensor-arbitraries';
import { writeModel } from '../../../support/tiny-models';

const RUNS = { numRuns: 25 };

/** Shapes for the models below, empty ones among them. */
const shapes = fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 }));

async function writeIdentity(folder: string, name: string, datatype: Datatype, dims: string[]): Promise<void> {
  const onnx = identityModel(datatype, dims);
  const shape = dims.map(() => -1);
  // Nothing is kept: one entry stands for 0 and -0, and for all NaNs.
  await writeModel(folder, name, '1', onnx, {
    schemaVersion: 1,
    model: name,
    version: '1',
    sha256: createHash('sha256').update(onnx).digest('hex'),
    bytes: onnx.length,
    inputs: [{ name: 'x', datatype, shape }],
    outputs: [{ name: 'y', datatype, shape }],
    cache: { ttlSeconds: 0 },
    publishedAt: '2026-01-01T00:00:00.000Z',
  });
}

describe('every datatype comes back from an identity model as it was sent', () => {
  let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
  let edge: RunningEdge;
  const urlOf = (name: string) => `${edge.url}/v2/models/${name.toLowerCase()}/infer`;

  beforeAll(async () => {
    folder = await temporaryDirectory();
    for (const datatype of Datatype.options) {
      await writeIdentity(folder.path, datatype.toLowerCase(), datatype, ['n', 'm']);
    }
    await writeIdentity(folder.path, 'scalar', 'INT64', []);
    edge = await startEdge({ MODELS_DIR: folder.path });
  });
  afterAll(async () => {
    await edge.stop();
    await folder.remove();
  });

  it.each(Datatype.options)('%s in JSON', async (datatype) => {
    await fc.assert(
      fc.asyncProperty(
        shapes.chain((shape) => tensorOf(datatype, shape)),
        async (sent) => {
          const { shape, data } = sent;
          const text = elementsAsJson(datatype, data);
          const body = `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[${shape}],"data":[${text}]}]}`;
          const response = await fetch(urlOf(datatype), { method: 'POST', body });
          const answer = await response.text();
          expect({ status: response.status, answer }).toEqual({
            status: 200,
            answer:
              `{"model_name":"${datatype.toLowerCase()}","model_version":"1","outputs":` +
              `[{"name":"y","datatype":"${datatype}","shape":[${shape}],"data":[${text}]}]}`,
          });
        },
      ),
      RUNS,
    );
  });

  it.each(Datatype.options)('%s as binary data', async (datatype) => {
    await fc.assert(
      fc.asyncProperty(
        shapes.chain((shape) => tensorOf(datatype, shape)),
        async (sent) => {
          const answer = await inferBinary(urlOf(datatype), [sent]);
          expect(answer.json).toMatchObject({ outputs: [{ name: 'y', datatype, shape: sent.shape }] });
          expect(answer.binary.get('y')?.toString('hex')).toBe(tensorBytes(sent).toString('hex'));
        },
      ),
      RUNS,
    );
  });

  it('a scalar, bare or in an array', async () => {
    for (const data of ['7', '[7]', '"7"']) {
      const answer = await postInfer(
        urlOf('scalar'),
        `{"inputs":[{"name":"x","datatype":"INT64","shape":[],"data":${data}}]}`,
      );
      expect(answer.json).toMatchObject({ outputs: [{ shape: [], data: [7] }] });
    }
  });

  it('integers beyond 2^53 as JSON numbers, digit for digit, beside strings that look like them', async () => {
    const text = '9223372036854775807,-9223372036854775808,9007199254740993,0';
    const id = '12345678901234567890 \\"9007199254740993';
    const body = `{"id":"${id}","inputs":[{"name":"x","datatype":"INT64","shape":[2,2],"data":[[${text.replace(',9', '],[9')}]]}]}`;
    const response = await fetch(urlOf('int64'), { method: 'POST', body });
    const answer = await response.text();
    expect(answer).toContain(`"data":[${text}]`);
    expect(answer).toContain(`"id":"${id}"`);
  });

  it.each([
    ['int64', '9223372036854775808', '"9223372036854775808"'],
    ['int64', '1e19', '10000000000000000000'],
    ['uint64', '-1', '-1'],
    ['uint64', '18446744073709551616', '"18446744073709551616"'],
  ])('%s refuses %s', async (name, value, shown) => {
    const body = `{"inputs":[{"name":"x","datatype":"${name.toUpperCase()}","shape":[1,1],"data":[${value}]}]}`;
    const answer = await postInfer(urlOf(name), body);
    expect(answer).toMatchObject({ status: 400, json: { error: expect.stringContaining(`got ${shown}`) } });
    expect(answer.json.error).toMatch(/^inputs\[0\]\.data\[0\] must be /);
  });

  it('a raw body is the elements of the only input', async () => {
    const sent = Buffer.from(Float32Array.of(1, 2, 3).buffer);
    const answer = await postInfer(urlOf('fp32'), sent, { 'inference-header-content-length': '0' });
    expect(answer.json).toMatchObject({ outputs: [{ shape: [1, 3], parameters: { binary_data_size: 12 } }] });
    expect(answer.binary.get('y')).toEqual(sent);
    const text = await postInfer(urlOf('bytes'), Buffer.from('é'), { 'inference-header-content-length': '0' });
    expect(text.binary.get('y')).toEqual(Buffer.from('\x02\0\0\0\xc3\xa9', 'latin1'));
  });
});
