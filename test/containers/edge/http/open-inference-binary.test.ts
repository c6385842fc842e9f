/** @jest-environment ./test/support/onnx-environment.cjs */
import { deflateSync, gzipSync } from 'node:zlib';
import { type Tensor, tensorBytes } from '../../../../containers/edge/inference/tensors';
import { type RunningEdge, startEdge, temporaryDirectory } from '../../../support/edge-service';
import { identityModel, sumModel } from '../../../support/identity-model';
import { binaryRequest, inferBinary, postInfer } from '../../../support/infer-client';
import { rawSocket } from '../../../support/raw-http';
import { writeModel } from '../../../support/tiny-models';

const LENGTH = 'inference-header-content-length';

const floats = (name: string, ...values: number[]): Tensor => ({
  name,
  datatype: 'FP32',
  shape: [values.length],
  data: Float32Array.from(values),
});

const bytesOf = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);

describe('binary tensor data', () => {
  let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
  let edge: RunningEdge;
  let sum: string;
  let texts: string;
  let flags: string;

  beforeAll(async () => {
    folder = await temporaryDirectory();
    await writeModel(folder.path, 'sum', '1', sumModel());
    await writeModel(folder.path, 'texts', '1', identityModel('BYTES', ['n']));
    await writeModel(folder.path, 'flags', '1', identityModel('BOOL', ['n']));
    edge = await startEdge({ MODELS_DIR: folder.path });
    [sum = '', texts = '', flags = ''] = ['sum', 'texts', 'flags'].map((name) => `${edge.url}/v2/models/${name}/infer`);
  });
  afterAll(async () => {
    await edge.stop();
    await folder.remove();
  });

  it('comes in the order asked, with the length of the JSON before it', async () => {
    const outputs = [{ name: 'difference' }, { name: 'sum' }];
    const answer = await inferBinary(sum, [floats('b', 1, 2), floats('a', 10, 20)], { outputs, id: 'é' });
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
    expect(answer.json).toEqual({
      model_name: 'sum',
      model_version: '1',
      id: 'é',
      outputs: [
        { name: 'difference', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } },
        { name: 'sum', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } },
      ],
    });
    expect(answer.binary.get('sum')).toEqual(bytesOf(11, 22));
    expect(answer.binary.get('difference')).toEqual(bytesOf(9, 18));
  });

  describe('behind JSON that came before', () => {
    it('is read anew, and answered with the elements of its own', async () => {
      for (const n of [1, 2, 3]) {
        const answer = await inferBinary(sum, [floats('a', 10 * n, 20 * n), floats('b', n, n)]);
        expect(answer.binary.get('sum')).toEqual(bytesOf(11 * n, 21 * n));
        expect(answer.binary.get('difference')).toEqual(bytesOf(9 * n, 19 * n));
      }
    });

    it('is answered in the order asked, each time', async () => {
      const outputs = [{ name: 'difference' }, { name: 'sum' }];
      for (const n of [4, 5, 6]) {
        const answer = await inferBinary(sum, [floats('a', 10 * n), floats('b', n)], { outputs });
        expect([...answer.binary.keys()]).toEqual(['difference', 'sum']);
        expect(answer.binary.get('difference')).toEqual(bytesOf(9 * n));
        expect(answer.binary.get('sum')).toEqual(bytesOf(11 * n));
      }
    });

    it('is answered with the lengths of its own, whatever those before were', async () => {
      for (const data of [
        ['ab', ''],
        ['a', 'b'],
        ['', 'é'],
      ]) {
        const answer = await inferBinary(texts, [{ name: 'x', datatype: 'BYTES', shape: [2], data }]);
        expect(answer.binary.get('y')).toEqual(tensorBytes({ data }));
      }
    });

    it('is refused where there is less or more of it than the JSON says', async () => {
      const { body, jsonLength } = binaryRequest([floats('a', 1), floats('b', 2)]);
      const headers = { [LENGTH]: `${jsonLength}` };
      expect((await postInfer(sum, body, headers)).status).toBe(200);
      for (const wrong of [body.subarray(0, -1), Buffer.concat([body, Buffer.of(0)])]) {
        expect((await postInfer(sum, wrong, headers)).status).toBe(400);
      }
      expect((await postInfer(sum, body, headers)).status).toBe(200);
    });
  });

  it('stands beside JSON, in requests and answers', async () => {
    const json = JSON.stringify({
      parameters: { binary_data_output: true },
      inputs: [
        { name: 'a', datatype: 'FP32', shape: [2], data: [3, 4] },
        { name: 'b', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 8 } },
      ],
      outputs: [{ name: 'copy', parameters: { binary_data: false } }, { name: 'sum' }],
    });
    const answer = await postInfer(sum, Buffer.concat([Buffer.from(json), bytesOf(1, 1)]), {
      [LENGTH]: `${json.length}`,
    });
    expect(answer.json.outputs).toMatchObject([{ name: 'copy', data: [3, 4] }, { name: 'sum' }]);
    expect(answer.binary.get('sum')).toEqual(bytesOf(4, 5));
  });

  it('shares its entries with JSON', async () => {
    await inferBinary(sum, [floats('a', 7), floats('b', 8)]);
    const inputs = ['a', 'b'].map((name, i) => ({ name, datatype: 'FP32', shape: [1], data: [7 + i] }));
    const answer = await postInfer(sum, JSON.stringify({ inputs }));
    expect(answer.headers.get('cache-status')).toMatch(/; hit; detail=memory/);
    expect(answer.headers.get(LENGTH)).toBeNull();
  });

  it('is read whole from a body that comes in pieces, at any alignment', async () => {
    const values = Array.from({ length: 20_000 }, (_, i) => i / 3);
    for (const id of ['', 'a', 'ab', 'abc', 'abcd']) {
      const { body, jsonLength } = binaryRequest([floats('a', ...values), floats('b', ...values)], { id });
      const answer = await postInfer(sum, body, { [LENGTH]: `${jsonLength}` });
      // As text: comparing element by element takes Jest a second a body.
      const expected = Float32Array.from(values, (value) => Math.fround(value) * 2);
      expect(`${answer.json.outputs[0].data}`).toBe(`${expected}`);
    }
  });

  it.each<[string, (json: string) => string, string]>([
    ['no number', () => 'x', `header ${LENGTH} must be an integer from 0 to \\d+ \\(bytes of the body\\), got "x"`],
    ['negative', () => '-1', `header ${LENGTH} must be an integer`],
    ['past the body', () => '9999', `header ${LENGTH} must be an integer`],
    ['too short', (json) => `${json.length - 1}`, 'the body must be JSON: '],
    ['too long', (json) => `${json.length + 1}`, 'the body must be JSON'],
    ['zero', () => '0', 'a body without JSON needs a model with one input; sum has 2'],
  ])('refuses a length that is %s', async (_, lengthOf, message) => {
    const json = JSON.stringify({
      inputs: [{ name: 'a', datatype: 'FP32', shape: [1], parameters: { binary_data_size: 4 } }],
    });
    const answer = await postInfer(sum, Buffer.concat([Buffer.from(json), bytesOf(1)]), { [LENGTH]: lengthOf(json) });
    expect(answer).toMatchObject({ status: 400, json: { error: expect.stringMatching(`^${message}`) } });
  });

  it.each<[object, number, string]>([
    [{ shape: [2] }, 4, 'inputs[0].parameters.binary_data_size must be 8 (2 elements of FP32), got 4'],
    [{ shape: [0] }, 4, 'inputs[0].parameters.binary_data_size must be 0 (0 elements of FP32), got 4'],
    [
      { shape: [2 ** 31 - 1] },
      4,
      'inputs[0].parameters.binary_data_size must be 8589934588 (2147483647 elements of FP32), got 4',
    ],
    [
      { parameters: { binary_data_size: -4 } },
      4,
      'inputs[0].parameters.binary_data_size must be a number of bytes, got -4',
    ],
    [
      { parameters: { binary_data_size: '4' } },
      4,
      'inputs[0].parameters.binary_data_size must be a number of bytes, got "4"',
    ],
    [
      { parameters: { binary_data_size: 5 } },
      4,
      'inputs[0].parameters.binary_data_size must be at most 4, the bytes of binary data that are left in the body, got 5',
    ],
    [{}, 6, 'the body has 2 bytes more than the binary data of its inputs'],
  ])('refuses %j with %d bytes', async (changes, bytes, message) => {
    const a = { name: 'a', datatype: 'FP32', shape: [1], parameters: { binary_data_size: 4 }, ...changes };
    const b = { name: 'b', datatype: 'FP32', shape: [1], data: [1] };
    const json = JSON.stringify({ inputs: [a, b] });
    const body = Buffer.concat([Buffer.from(json), Buffer.alloc(bytes)]);
    const answer = await postInfer(sum, body, { [LENGTH]: `${json.length}` });
    expect(answer).toMatchObject({ status: 400, json: { error: message } });
  });

  it.each<[string, number, string | RegExp]>([
    [
      '\x05\0\0\0abcd',
      1,
      'inputs[0]: element 0 of BYTES must be a length in 4 bytes and that many bytes, got 8 bytes in all',
    ],
    [
      '\x01\0\0\0a\xff',
      1,
      'inputs[0]: element 1 of BYTES must be a length in 4 bytes and that many bytes, got 1 bytes in all',
    ],
    ['\x01\0\0\0a', 2, 'inputs[0] must have 2 elements of BYTES, got 1'],
    ['\x01\0\0\0\xff', 1, 'inputs[0]: element 0 must be UTF-8'],
    ['\x03\0\0\0a\0b', 1, 'inputs[0]: element 0 has a NUL character (U+0000), at which ONNX Runtime cuts strings'],
  ])('refuses the BYTES %j', async (content, count, message) => {
    const binary = Buffer.from(content, 'latin1');
    const x = { name: 'x', datatype: 'BYTES', shape: [count], parameters: { binary_data_size: binary.length } };
    const json = JSON.stringify({ inputs: [x] });
    const answer = await postInfer(texts, Buffer.concat([Buffer.from(json), binary]), { [LENGTH]: `${json.length}` });
    expect(answer).toMatchObject({ status: 400, json: { error: message } });
  });

  it('refuses text in JSON that ONNX Runtime would get changed', async () => {
    const withData = (data: string) => `{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":["${data}"]}]}`;
    expect((await postInfer(texts, withData('a\\u0000'))).json.error).toMatch(
      /^inputs\[0\]\.data\[0\] has a NUL character/,
    );
    expect((await postInfer(texts, withData('\\ud800'))).json.error).toMatch(
      /^inputs\[0\]\.data\[0\] has half of a surr/,
    );
    const latin1 = await postInfer(texts, Buffer.from(withData('\xe9'), 'latin1'));
    expect(latin1).toMatchObject({ status: 400, json: { error: 'the body must be JSON in UTF-8' } });
  });

  it('refuses a BOOL that is neither 0 nor 1', async () => {
    const answer = await inferBinary(flags, [{ name: 'x', datatype: 'BOOL', shape: [2], data: Uint8Array.of(1, 2) }]);
    expect(answer).toMatchObject({ status: 400, json: { error: 'inputs[0]: byte 1 of a BOOL must be 0 or 1, got 2' } });
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
  ])('comes compressed with %s', async (encoding, compress) => {
    const { body, jsonLength } = binaryRequest([floats('a', 1), floats('b', 2)]);
    const headers = { [LENGTH]: `${jsonLength}`, 'content-encoding': encoding };
    const answer = await postInfer(sum, compress(body), headers);
    expect(answer.json.outputs[0]).toMatchObject({ name: 'sum', data: [3] });
    const broken = await postInfer(sum, compress(body).subarray(0, 20), headers);
    expect(broken).toMatchObject({
      status: 400,
      json: { error: expect.stringMatching(`^the body must be ${encoding}: `) },
    });
    const bomb = await postInfer(sum, compress(Buffer.alloc(9 * 2 ** 20)), headers);
    expect(bomb).toMatchObject({ status: 413, json: { error: 'the body must be at most 8388608 bytes' } });
  });

  it('refuses other encodings, naming its own', async () => {
    const answer = await postInfer(sum, 'x', { 'content-encoding': 'br' });
    expect(answer).toMatchObject({ status: 415, json: { error: 'content-encoding must be gzip or deflate, got br' } });
    expect(answer.headers.get('accept-encoding')).toBe('gzip, deflate');
  });

  it.each([
    ['gzip', 'gzip'],
    ['deflate', 'deflate'],
    ['gzip;q=0.5, deflate', 'deflate'],
    ['gzip;q=0', null],
    ['br', null],
  ])('is answered by what Accept-Encoding %s asks for', async (accepted, encoding) => {
    const values = Array.from({ length: 1000 }, (_, i) => i);
    const answer = await inferBinary(sum, [floats('a', ...values), floats('b', ...values)], {});
    const { body, jsonLength } = binaryRequest([floats('a', ...values), floats('b', ...values)], {
      parameters: { binary_data_output: true },
    });
    const encoded = await postInfer(sum, body, { [LENGTH]: `${jsonLength}`, 'accept-encoding': accepted });
    expect(encoded.headers.get('content-encoding')).toBe(encoding);
    expect(encoded.binary).toEqual(answer.binary);
  });

  it('refuses a body over the limit, whether its length is stated or not', async () => {
    const socket = await rawSocket(edge.url);
    socket.write(`POST /v2/models/sum/infer HTTP/1.1\r\nhost: x\r\ncontent-length: ${9 * 2 ** 20}\r\n\r\n`);
    expect(await socket.answer()).toMatchObject({ status: 413 });
    await socket.close();
    const chunked = await rawSocket(edge.url);
    chunked.write('POST /v2/models/sum/infer HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
    for (let i = 0; i < 9; i += 1) chunked.write(`100000\r\n${'x'.repeat(2 ** 20)}\r\n`);
    expect(await chunked.answer()).toMatchObject({ status: 413 });
    await chunked.close();
  });
});
