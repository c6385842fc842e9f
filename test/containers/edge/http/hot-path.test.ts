/** @jest-environment ./test/support/onnx-environment.cjs */
import { parseFeatureRow } from '../../../../containers/edge/inference/feature-row';
import { temporaryDirectory } from '../../../support/edge-service';
import { type HttpService, startHttpService } from '../../../support/http-service';
import { rawRequest, rawSocket } from '../../../support/raw-http';
import { tinyManifest, tinyModel, writeModel } from '../../../support/tiny-models';
import { comparable } from './comparable';

const LIVE = 'x-mlcdn-live-version';

let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let edge: HttpService;

beforeAll(async () => {
  folder = await temporaryDirectory();
  const cache = { ttlSeconds: 600, tags: ['shop:1'] };
  await writeModel(folder.path, 'tiny', '9', tinyModel(9), tinyManifest('9', 9, { cache }));
  await writeModel(folder.path, 'tiny', '10', tinyModel(10), tinyManifest('10', 10, { cache }));
  edge = await startHttpService(folder.path, ['9', '10']);
});
afterAll(async () => {
  await edge.stop();
  await folder.remove();
});

/** The same request as the hot path takes it and as the router gets it: chunked, or with a query that says nothing. */
const asHot = (body: string, headers: Record<string, string> = {}) =>
  rawRequest(edge.url, { method: 'POST', path: '/predict', headers, body });
const asRouted = (body: string, headers: Record<string, string> = {}) =>
  rawRequest(edge.url, { method: 'POST', path: '/predict?', headers, body });

async function inMemory(body: string, headers: Record<string, string> = {}): Promise<void> {
  for (let i = 0; i < 3; i++) await asRouted(body, headers);
}

describe('POST /predict in front of the router', () => {
  it.each([
    ['{"features":[1,2,3]}', {}],
    ['{"features":[1,2,3],"model":"tiny","version":9}', {}],
    ['{"features":[3,2,1]}', { [LIVE]: '9' }],
    ['{"features":[3,2,1]}', { [LIVE]: '11' }],
    ['{"features":[3,2,1]}', { [LIVE]: '' }],
    ['{"features":[1,2,3]}', { 'content-type': 'application/json; charset=utf-8' }],
    ['{"features":[1,2,3]}', { 'content-type': 'nonsense' }],
    ['{"features":[1,2', {}],
    ['"é"', {}],
    ['', {}],
    ['{"features":"x"}', {}],
    ['{"features":[1,2]}', {}],
    ['{"features":[1,2,3],"model":"othér"}', {}],
    ['{"features":[1,2,3],"version":"8"}', {}],
  ])('answers %j with %j as the router does, first, from memory and known', async (body, headers) => {
    await inMemory(body, headers);
    const routed = comparable(await asRouted(body, headers));
    for (let time = 0; time < 4; time++) expect(comparable(await asHot(body, headers))).toEqual(routed);
  });

  it('refuses a deadline that is none although it knows the answer', async () => {
    const body = '{"features":[1,2,3],"model":"tiny"}';
    for (let time = 0; time < 4; time++) expect(await asHot(body)).toMatchObject({ status: 200 });
    for (const timeout of ['soon', '0', '-1', '']) {
      expect(await asHot(body, { 'x-request-timeout-ms': timeout })).toMatchObject({
        status: 400,
        body: expect.stringContaining('x-request-timeout-ms'),
      });
    }
    expect(await asHot(body, { 'x-request-timeout-ms': '1000' })).toMatchObject({
      status: 200,
      body: expect.stringContaining('"cached":true'),
    });
  });

  it('says the same on a miss', async () => {
    const hot = comparable(await asHot('{"features":[50,1,1]}'));
    const routed = comparable(await asRouted('{"features":[51,0,1]}'));
    expect(hot).toEqual(routed);
    expect(hot).toMatchObject({ status: 200, body: expect.stringContaining('"cached":false') });
  });

  it('keeps apart requests that differ in one byte, and those that a POP asked for another version', async () => {
    for (let time = 0; time < 3; time++) {
      expect((await asHot('{"features":[1,2,4]}')).body).toContain('"prediction":70,');
      expect((await asHot('{"features":[1,2,5]}')).body).toContain('"prediction":80,');
      expect((await asHot('{"features":[1,2,5]}', { [LIVE]: '9' })).body).toContain('"prediction":72,');
    }
  });

  it('does not take a body for a URL', async () => {
    const path = '/predict?model=tiny&features=4,5,6';
    for (let time = 0; time < 3; time++) await rawRequest(edge.url, { method: 'GET', path });
    expect(await asHot(path)).toMatchObject({ status: 400, body: expect.stringContaining('invalid_json') });
  });

  it('reads a body that comes in pieces', async () => {
    const socket = await rawSocket(edge.url);
    const head = 'POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n';
    for (const part of [head, '{"feat', 'ures":[2,2', ',2]}']) {
      socket.write(part);
      await socket.flushed();
    }
    expect((await socket.answer()).body).toContain('"prediction":60,');
    await socket.close();
  });

  it('answers requests that were sent together in their order', async () => {
    await inMemory('{"features":[1,2,3]}');
    const socket = await rawSocket(edge.url);
    const request = (body: string) =>
      `POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    socket.write(request('{"features":[77,1,1]}') + request('{"features":[1,2,3]}') + request('{"features":[1,2,3]}'));
    const bodies = [await socket.answer(), await socket.answer(), await socket.answer()].map(({ body }) => body);
    expect(bodies.map((body) => JSON.parse(body).prediction)).toEqual([790, 60, 60]);
    await socket.close();
  });

  it('survives a client that goes away within its body', async () => {
    const socket = await rawSocket(edge.url);
    socket.write('POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{"fea');
    await socket.flushed();
    await socket.close();
    expect(await asHot('{"features":[1,2,3]}')).toMatchObject({ status: 200 });
  });

  it('counts what it answers', async () => {
    await inMemory('{"features":[6,6,6]}');
    const before = await edge.metrics.registry.metrics();
    for (let time = 0; time < 5; time++) await asHot('{"features":[6,6,6]}');
    await asHot('{');
    const after = await edge.metrics.registry.metrics();
    const difference = (series: string) => sampleOf(after, series) - sampleOf(before, series);
    expect(difference('cdn_requests_total{status="200",region="eu-west-1"}')).toBe(5);
    expect(difference('cdn_requests_total{status="400",region="eu-west-1"}')).toBe(1);
    expect(difference('cdn_request_latency_seconds_count{cache_level="memory",region="eu-west-1"}')).toBe(5);
    expect(difference('cdn_cache_hits_total{cache_level="memory",region="eu-west-1"}')).toBeGreaterThanOrEqual(5);
  });
});

describe('GET /predict in front of the router', () => {
  it.each([
    ['features=1,2,3', {}],
    ['features=1,2,3&model=tiny', { [LIVE]: '10' }],
    ['features=1%2C2,%203&model=tiny&version=9', {}],
    ['features=1,2,3&features=4', {}],
    ['features=1,2,x', {}],
    ['features=1,2,3&model=%E9', {}],
    ['', {}],
  ])('answers %s with %j as the router does', async (query, headers) => {
    // An empty body makes the request the router's.
    const ask = (extra: Record<string, string>) =>
      rawRequest(edge.url, { method: 'GET', path: `/predict?${query}`, headers: { ...headers, ...extra } });
    for (let time = 0; time < 3; time++) await ask({ 'content-length': '0' });
    const routed = comparable(await ask({ 'content-length': '0' }));
    for (let time = 0; time < 4; time++) expect(comparable(await ask({}))).toEqual(routed);
  });

  it('leaves HEAD to the router', async () => {
    const path = '/predict?features=1,2,3';
    expect(await rawRequest(edge.url, { method: 'HEAD', path })).toMatchObject({ status: 200, body: '' });
  });
});

describe('a request that is known', () => {
  it('is answered by the version that is live now', async () => {
    const { repository } = edge;
    const body = '{"features":[8,8,8]}';
    for (let time = 0; time < 4; time++) expect((await asHot(body)).body).toContain('"version":"10"');
    repository.activate('tiny', '9', ['10']);
    try {
      expect((await asHot(body)).body).toContain('"prediction":216,"cached":false,');
    } finally {
      repository.activate('tiny', '10', ['9']);
    }
    expect((await asHot(body)).body).toContain('"prediction":240,"cached":true,');
  });

  it('is computed anew once its entry has been invalidated', async () => {
    const body = '{"features":[9,9,9]}';
    for (let time = 0; time < 4; time++) await asHot(body);
    expect((await asHot(body)).body).toContain('"cached":true');
    const model = edge.repository.live('tiny');
    if (model === undefined) throw new Error('tiny is not live');
    const row = parseFeatureRow(model, [9, 9, 9], 'features');
    edge.cache.invalidateKeys([edge.predictor.keyOf(model, [row])]);
    expect((await asHot(body)).body).toContain('"cached":false');
    expect((await asHot(body)).body).toContain('"cached":true');
  });
});

function sampleOf(text: string, series: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}
