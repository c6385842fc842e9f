/** @jest-environment ./test/support/onnx-environment.cjs */
import { type RunningEdge, startEdge, temporaryDirectory } from '../../../support/edge-service';
import { tinyManifest, tinyModel, writeModel } from '../../../support/tiny-models';

let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let edge: RunningEdge;

beforeAll(async () => {
  folder = await temporaryDirectory();
  await writeModel(
    folder.path,
    'tiny',
    '9',
    tinyModel(9),
    tinyManifest('9', 9, { cache: { ttlSeconds: 60, tags: ['shop:1'] } }),
  );
  await writeModel(
    folder.path,
    'tiny',
    '10',
    tinyModel(10),
    tinyManifest('10', 10, { cache: { ttlSeconds: 60, tags: ['shop:1'] } }),
  );
  edge = await startEdge({ MODELS_DIR: folder.path });
});
afterAll(async () => {
  await edge.stop();
  await folder.remove();
});

describe('POST /predict', () => {
  it('computes once and then answers from memory, saying so', async () => {
    const body = { features: [1, 2, 3.5] };
    const first = await edge.post('/predict', body);
    const second = await edge.post('/predict', body);
    const third = await edge.post('/predict', body);
    const prediction = { prediction: 65, edge_region: 'eu-west-1', model: 'tiny', version: '10' };
    expect(first).toMatchObject({ status: 200, body: { ...prediction, cached: false } });
    expect(second).toMatchObject({ status: 200, body: { ...prediction, cached: true } });
    expect(third.body).toEqual(second.body);
    expect(first.headers.get('cache-status')).toBe('mlcdn-edge; fwd=miss; stored');
    expect(second.headers.get('cache-status')).toMatch(/^mlcdn-edge; hit; detail=memory; ttl=(59|60)$/);
    expect(first.headers.get('server-timing')).toMatch(/infer;dur=[\d.]+/);
    expect(second.headers.get('server-timing')).toMatch(/^memory;dur=[\d.]+$/);
    expect(first.headers.get('x-amz-meta-cache-tag')).toBe('model:tiny,model:tiny@10,shop:1');
    expect(first.headers.get('cache-control')).toBe('no-store');
  });

  it('answers with the version that the client pins, and keeps versions apart in the cache', async () => {
    const live = await edge.post('/predict', { features: [1, 1, 1] });
    const pinned = await edge.post('/predict', { features: [1, 1, 1], version: '9' });
    expect(live.body).toMatchObject({ prediction: 30, version: '10', cached: false });
    expect(pinned.body).toMatchObject({ prediction: 27, version: '9', cached: false });
    expect((await edge.post('/predict', { features: [1, 1, 1], version: 9 })).body).toMatchObject({ cached: true });
  });

  it('reads JSON whatever type the client declares', async () => {
    const answer = await edge.post(
      '/predict',
      { features: [4, 4, 4] },
      { 'content-type': 'application/x-www-form-urlencoded' },
    );
    expect(answer).toMatchObject({ status: 200, body: { prediction: 120 } });
  });

  it.each([
    [{}, 'features must be an array, got nothing'],
    [{ features: 'x' }, 'features must be an array, got "x"'],
    [{ features: [1, 2, 'x'] }, 'features[2] must be a number, or "NaN", "Infinity" or "-Infinity", got "x"'],
    [{ features: [1, null, 3] }, 'features[1] must be a number, or "NaN", "Infinity" or "-Infinity", got null'],
    [{ features: [1, 1e39, 3] }, 'features[1] must be a number that FP32 can hold, got 1e+39'],
    [{ features: [1, 2] }, 'features must have 3 numbers for model tiny, got 2'],
    [{ features: [1, 2, 3], model: 7 }, 'model must be a non-empty string, got 7'],
    [{ features: [1, 2, 3], version: true }, 'version must be a non-empty string, got true'],
    [{ featuers: [1, 2, 3] }, 'unknown field "featuers"; allowed: features, model, version'],
    [[1, 2, 3], 'the body must be a JSON object, got [1,2,3]'],
  ])('refuses %j', async (body, message) => {
    expect(await edge.post('/predict', body)).toMatchObject({
      status: 400,
      body: { error: { code: 'invalid_request', message } },
    });
  });

  it('refuses what is not JSON, and what is not here', async () => {
    const broken = await edge.post('/predict', '{"features":[1,');
    expect(broken).toMatchObject({ status: 400, body: { error: { code: 'invalid_json' } } });
    expect(await edge.post('/predict', { features: [1, 2, 3], model: 'other' })).toMatchObject({
      status: 404,
      body: { error: { code: 'model_not_found', message: 'there is no model other here; served: tiny' } },
    });
    expect(await edge.post('/predict', { features: [1, 2, 3], version: '8' })).toMatchObject({
      status: 404,
      body: { error: { code: 'version_not_found', message: 'model tiny has no version 8 here; served: 9, 10' } },
    });
  });

  it('refuses a body over the limit', async () => {
    const answer = await edge.post('/predict', { features: [1, 2, 3], model: 'x'.repeat(9 * 1024 * 1024) });
    expect(answer).toMatchObject({ status: 413, body: { error: { code: 'body_too_large' } } });
  });
});

describe('GET /predict', () => {
  const LIVE = 'x-mlcdn-live-version';

  it('shares its entries with POST and lets a POP keep the version that its key names', async () => {
    await edge.post('/predict', { features: [7, 8, 9] });
    const answer = await edge.get('/predict?model=tiny&features=7,8.0,9e0', { [LIVE]: '10' });
    expect(answer).toMatchObject({ status: 200, body: { prediction: 240, cached: true, version: '10' } });
    expect(answer.headers.get('cache-control')).toMatch(/^public, max-age=(59|60)$/);
  });

  it('answers with the version that the POP names while that is in memory', async () => {
    const answer = await edge.get('/predict?features=2,2,2', { [LIVE]: '9' });
    expect(answer.body).toMatchObject({ prediction: 54, version: '9' });
    expect(answer.headers.get('cache-control')).toMatch(/^public, max-age=/);
  });

  it('says which version answers, and forbids keeping it, when it is not the one that the key names', async () => {
    const answer = await edge.get('/predict?features=2,2,2', { [LIVE]: '11' });
    expect(answer.body).toMatchObject({ prediction: 60, version: '10' });
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it('forbids keeping an answer whose key names no version', async () => {
    const answer = await edge.get('/predict?features=2,2,2');
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it.each([
    ['/predict', 'features must be numbers separated by commas, got nothing'],
    ['/predict?features=1,2,x', 'features[2] must be a number, or "NaN", "Infinity" or "-Infinity", got "x"'],
    ['/predict?features=1,,3', 'features[1] must be a number, or "NaN", "Infinity" or "-Infinity", got ""'],
    ['/predict?features=1,2,0x10', 'features[2] must be a number, or "NaN", "Infinity" or "-Infinity", got "0x10"'],
    ['/predict?features=1,2,3&features=4', 'features must be given once'],
  ])('refuses %s', async (path, message) => {
    expect(await edge.get(path)).toMatchObject({ status: 400, body: { error: { code: 'invalid_request', message } } });
  });
});

describe('POST /batch_predict', () => {
  it('answers in input order, row by row from the cache or computed together', async () => {
    await edge.post('/predict', { features: [5, 5, 5] });
    const answer = await edge.post('/batch_predict', {
      features: [
        [5, 5, 6],
        [5, 5, 5],
        [5, 5, 7],
        [5, 5, 6],
      ],
    });
    expect(answer).toMatchObject({
      status: 200,
      body: { count: 4, model: 'tiny', version: '10', edge_region: 'eu-west-1' },
    });
    expect(answer.body).toMatchObject({ predictions: [160, 150, 170, 160], cached: [false, true, false, false] });
    expect(answer.headers.get('cache-status')).toBe('mlcdn-edge; fwd=partial; detail="1 of 4"');
    const again = await edge.post('/batch_predict', { features: [[5, 5, 7]] });
    expect(again.body).toMatchObject({ predictions: [170], cached: [true] });
  });

  it.each([
    [{ features: [] }, 'features must have at least one row'],
    [{ features: [1, 2, 3] }, 'features[0] must be an array of numbers, got number'],
    [
      {
        features: [
          [1, 2, 3],
          [1, 2],
        ],
      },
      'features[1] must have 3 numbers for model tiny, got 2',
    ],
    [
      {
        features: [
          [1, 2, 3],
          [1, 2, 'x'],
        ],
      },
      'features[1][2] must be a number, or "NaN", "Infinity" or "-Infinity", got "x"',
    ],
  ])('refuses %j', async (body, message) => {
    expect(await edge.post('/batch_predict', body)).toMatchObject({
      status: 400,
      body: { error: { code: 'invalid_request', message } },
    });
  });
});

describe('operations', () => {
  it('tells its health and which versions are live', async () => {
    expect(await edge.get('/health')).toMatchObject({
      status: 200,
      body: { status: 'ok', region: 'eu-west-1', models: { tiny: '10' } },
    });
  });

  it('counts requests by status and answers by tier', async () => {
    await edge.post('/predict', {});
    const text = await (await fetch(`${edge.url}/metrics`)).text();
    expect(text).toMatch(/^cdn_requests_total\{status="200",region="eu-west-1"\} [1-9]/m);
    expect(text).toMatch(/^cdn_requests_total\{status="400",region="eu-west-1"\} [1-9]/m);
    expect(text).toMatch(/^cdn_request_latency_seconds_count\{.*cache_level="memory".*\} [1-9]/m);
    expect(text).toMatch(/^cdn_cache_hit_rate\{cache_level="memory",region="eu-west-1"\} 0\.\d+/m);
  });

  it('knows its own paths by method, and no others without an origin', async () => {
    expect(await edge.get('/batch_predict')).toMatchObject({
      status: 405,
      body: { error: { code: 'method_not_allowed' } },
    });
    expect(await edge.get('/elsewhere')).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } });
  });

  it('turns unhealthy when told to drain, and still answers', async () => {
    const draining = await startEdge({ MODELS_DIR: folder.path });
    draining.service.drain();
    expect(await draining.get('/health')).toMatchObject({ status: 503, body: { reason: 'the service is stopping' } });
    expect(await draining.post('/predict', { features: [1, 2, 3] })).toMatchObject({ status: 200 });
    await draining.stop();
  });
});
