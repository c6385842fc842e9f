/** @jest-environment ./test/support/onnx-environment.cjs */
import type { HttpService } from '../../../support/http-service';
import { postInfer } from '../../../support/infer-client';
import { rawRequest, rawSocket } from '../../../support/raw-http';
import { startTwoVersions } from '../../../support/two-versions';
import { comparable } from './comparable';

let edge: HttpService;

beforeAll(async () => {
  edge = await startTwoVersions();
});
afterAll(() => edge.stop());

/** The same request in front of the router and, by an encoding that says nothing, behind it. */
const ask = (path: string, body: string | Buffer, headers: Record<string, string>) =>
  rawRequest(edge.url, { method: 'POST', path, headers, body });
const asHot = ask;
const asRouted = (path: string, body: string | Buffer, headers: Record<string, string>) =>
  ask(path, body, { ...headers, 'content-encoding': 'identity' });

const PATH = '/v2/models/tiny/infer';
const json = (fields: object = {}, input: object = {}) =>
  JSON.stringify({
    inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3], ...input }],
    ...fields,
  });

function binaryRequest(values: readonly number[] = [1, 2, 3, 4, 5, 6]): {
  body: Buffer;
  headers: Record<string, string>;
} {
  const head = JSON.stringify({
    inputs: [{ name: 'features', datatype: 'FP32', shape: [2, 3], parameters: { binary_data_size: 24 } }],
    parameters: { binary_data_output: true },
  });
  const elements = Buffer.from(Float32Array.from(values).buffer);
  return {
    body: Buffer.concat([Buffer.from(head), elements]),
    headers: { 'inference-header-content-length': String(head.length) },
  };
}

describe('inference in front of the router', () => {
  it.each([
    ['a row', PATH, json(), {}],
    ['a version in the path', '/v2/models/tiny/versions/9/infer', json({ id: 'é' }), {}],
    ['the version that a POP knows', PATH, json(), { 'x-mlcdn-live-version': '9' }],
    ['an answer that is worth compressing', PATH, json({ id: 'x'.repeat(2_000) }), { 'accept-encoding': 'gzip' }],
    ['binary data', PATH, binaryRequest().body, binaryRequest().headers],
    ['a wrong shape', PATH, json({}, { shape: [1, 4] }), {}],
    ['no JSON', PATH, '{"inputs"', {}],
    ['an unknown model', '/v2/models/none/infer', json(), {}],
    ['an unknown version', '/v2/models/tiny/versions/8/infer', json(), {}],
    ['a deadline that is none', PATH, json(), { 'x-request-timeout-ms': 'soon' }],
    ['a name to be decoded', '/v2/models/t%69ny/infer', json(), {}],
    ['a query', `${PATH}?x`, json(), {}],
  ])('says what the router says to %s', async (_what, path, body, headers) => {
    for (let time = 0; time < 2; time++) await asRouted(path, body, headers);
    const routed = comparable(await asRouted(path, body, headers));
    for (let time = 0; time < 2; time++) expect(comparable(await asHot(path, body, headers))).toEqual(routed);
  });

  it('reads binary requests that are alike each by its own elements, version and length', async () => {
    const ask = (version: string, values: readonly number[], cut = 0, shape = '[2,3]') => {
      const { body: whole, headers } = binaryRequest(values);
      const body = Buffer.from(whole.toString('latin1').replace('[2,3]', shape), 'latin1');
      const url = `${edge.url}/v2/models/tiny/versions/${version}/infer`;
      return postInfer(url, body.subarray(0, body.length - cut), headers);
    };
    for (const values of [
      [1, 2, 3, 4, 5, 6],
      [1, 2, 3, 4, 5, 7],
      [6, 5, 4, 3, 2, 1],
    ]) {
      for (const version of ['9', '10']) {
        const data = json({}, { shape: [2, 3], data: values });
        const inJson = await asRouted(`/v2/models/tiny/versions/${version}/infer`, data, {});
        const expected = JSON.parse(inJson.body.toString()).outputs[0].data;
        const { binary } = await ask(version, values);
        expect([...binary.values()]).toEqual([Buffer.from(Float32Array.from(expected).buffer)]);
        expect(await ask(version, values, 4)).toMatchObject({ status: 400 });
        expect(await ask(version, values, 0, '[3,2]')).toMatchObject({ status: 400 });
      }
    }
  });

  it('counts what it answers', async () => {
    const count = async () => {
      const text = await edge.metrics.registry.metrics();
      const series = 'cdn_requests_total{status="200",region="eu-west-1"} ';
      return Number(
        text
          .split('\n')
          .find((line) => line.startsWith(series))
          ?.slice(series.length) ?? 0,
      );
    };
    const before = await count();
    for (let time = 0; time < 3; time++) await asHot(PATH, json(), {});
    expect((await count()) - before).toBe(3);
  });

  it('survives a client that goes away before its answer', async () => {
    const body = json({}, { data: [7, 7, 7] });
    const socket = await rawSocket(edge.url);
    socket.write(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await socket.close();
    expect(await asHot(PATH, body, {})).toMatchObject({ status: 200 });
  });
});
