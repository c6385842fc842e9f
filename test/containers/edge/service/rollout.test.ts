/** @jest-environment ./test/support/onnx-environment.cjs */
import { randomUUID } from 'node:crypto';
import { createClient } from 'redis';
import { type ChannelDocument, channelKey } from '../../../../lib/core/channel';
import { APPEND_SCRIPT, CONTROL_KEYS, CONTROL_LOG_LENGTH } from '../../../../lib/core/control-log';
import type { ControlMessage } from '../../../../lib/core/control-message';
import { manifestKey, modelKey } from '../../../../lib/core/model-name';
import { startBucket, type TestBucket } from '../../../support/bucket';
import { type JsonAnswer, type RunningEdge, startEdge, temporaryDirectory } from '../../../support/edge-service';
import { startRedis, type TestRedis } from '../../../support/redis';
import { tinyManifest, tinyModel } from '../../../support/tiny-models';

let bucket: TestBucket;
let redis: TestRedis;
let disk: Awaited<ReturnType<typeof temporaryDirectory>>;
let started: RunningEdge | undefined;
const environmentBefore = { ...process.env };

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  await forgetControlLog();
  bucket = await startBucket();
  disk = await temporaryDirectory();
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: bucket.endpoint,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_MAX_ATTEMPTS: '1',
  });
});
afterEach(async () => {
  process.env = { ...environmentBefore };
  await started?.stop();
  started = undefined;
  await bucket.stop();
  await disk.remove();
});

/** A wait that has not ended by now never will; below Jest's own limit, so that the wait itself is what fails, ms. */
const PATIENCE_MS = 20_000;

/** An edge service that is stopped after the test. */
async function start(environment: Record<string, string> = {}): Promise<RunningEdge> {
  started = await startEdge({
    MODEL_BUCKET: bucket.name,
    REDIS_URL: redis.url,
    DISK_CACHE_DIR: disk.path,
    CHANNEL_POLL_SECONDS: '1',
    ...environment,
  });
  return started;
}

function publish(version: string, factor: number, changes: object = {}): void {
  bucket.put(modelKey('tiny', version), tinyModel(factor));
  bucket.put(manifestKey('tiny', version), JSON.stringify({ ...tinyManifest(version, factor), ...changes }));
}

function moveChannel(revision: number, production: string, previous?: string): void {
  const document: ChannelDocument = {
    schemaVersion: 1,
    model: 'tiny',
    production,
    ...(previous === undefined ? {} : { previous }),
    revision,
    updatedAt: '2026-01-01T00:00:00.000Z',
  };
  bucket.put(channelKey('tiny'), JSON.stringify(document));
}

/** What a test before has told the region's tasks is not meant for those of this one. */
async function forgetControlLog(): Promise<void> {
  const client = await createClient({ url: redis.url }).connect();
  await client.flushAll();
  client.destroy();
}

async function send(message: ControlMessage): Promise<void> {
  const client = createClient({ url: redis.url });
  await client.connect();
  const { epoch, head, stream, seen, channel } = CONTROL_KEYS;
  await client.eval(APPEND_SCRIPT, {
    keys: [epoch, head, stream, seen],
    arguments: [randomUUID(), message.id, JSON.stringify(message), String(CONTROL_LOG_LENGTH), channel],
  });
  client.destroy();
}

/** Waits until the reports of the region's tasks say this. */
async function untilReported(text: string): Promise<void> {
  const client = createClient({ url: redis.url });
  await client.connect();
  for (const patience = AbortSignal.timeout(PATIENCE_MS); ; patience.throwIfAborted()) {
    const reports = Object.values(await client.hGetAll(CONTROL_KEYS.tasks));
    if (reports.some((report) => report.includes(text))) break;
  }
  client.destroy();
}

async function until(
  edge: RunningEdge,
  condition: (models: unknown) => boolean,
  path = '/health',
): Promise<JsonAnswer> {
  for (const patience = AbortSignal.timeout(PATIENCE_MS); ; patience.throwIfAborted()) {
    const answer = await edge.get(path);
    if (condition(answer.body)) return answer;
  }
}

const serves = (version: string) => (health: unknown) => JSON.stringify(health).includes(`"tiny":"${version}"`);
const knows = (versions: readonly string[]) => (metadata: unknown) =>
  JSON.stringify(metadata).includes(`"versions":${JSON.stringify(versions)}`);

describe('an edge task that follows its region’s bucket', () => {
  it('is healthy and serves nothing while no channel exists, then serves what is published', async () => {
    const edge = await start();
    await until(edge, (health) => JSON.stringify(health).includes('"models":{}'));
    expect((await edge.get('/v2/health/ready')).status).toBe(503);
    publish('1', 1);
    moveChannel(1, '1');
    await until(edge, serves('1'));
    expect((await edge.post('/predict', { features: [1, 2, 3] })).body).toMatchObject({ prediction: 6, version: '1' });
  });

  it('is not healthy before it could read its channels', async () => {
    publish('1', 1);
    moveChannel(1, '1');
    bucket.failWith(500);
    const edge = await start();
    const health = await until(edge, (body) => JSON.stringify(body).includes('cannot be read'));
    expect(health.status).toBe(503);
    bucket.failWith(undefined);
    await until(edge, serves('1'));
  });

  it('swaps versions under load: no request fails and no answer carries another version’s name', async () => {
    publish('1', 1);
    publish('2', 1000);
    moveChannel(1, '1');
    const edge = await start();
    await until(edge, serves('1'));

    let running = true;
    const seen = new Set<string>();
    const client = async (from: number) => {
      for (let i = from; running; i += 4) {
        const { status, body } = await edge.post('/predict', { features: [i % 50, 1, 1] });
        const { version, prediction } = body as { version: string; prediction: number };
        expect({ status, prediction }).toEqual({
          status: 200,
          prediction: ((i % 50) + 2) * (version === '1' ? 1 : 1000),
        });
        seen.add(version);
      }
    };
    const clients = [0, 1, 2, 3].map(client);
    await send({ kind: 'prepare', id: randomUUID(), model: 'tiny', version: '2' });
    await until(edge, knows(['1', '2']), '/v2/models/tiny');
    expect(serves('1')((await edge.get('/health')).body)).toBe(true);
    moveChannel(2, '2', '1');
    await send({ kind: 'activate', id: randomUUID(), model: 'tiny', revision: 2 });
    await until(edge, serves('2'));
    await edge.post('/predict', { features: [0, 0, 0] });
    running = false;
    await Promise.all(clients);
    expect(seen).toContain('1');

    const pinned = await edge.post('/predict', { features: [1, 1, 1], version: '1' });
    expect(pinned.body).toMatchObject({ prediction: 3, version: '1' });
  });

  it('goes on with the old version when the new one is refused, and goes back when the channel does', async () => {
    publish('1', 1);
    publish('2', 2);
    publish('3', 3, { sha256: '0'.repeat(64) });
    moveChannel(1, '2', '1');
    const edge = await start();
    await until(edge, serves('2'));
    moveChannel(2, '3', '2');
    await send({ kind: 'prepare', id: randomUUID(), model: 'tiny', version: '3' });
    await untilReported('"version":"3","state":"refused"');
    expect((await edge.get('/health')).body).toMatchObject({ status: 'ok', models: { tiny: '2' } });
    moveChannel(3, '1', '2');
    await until(edge, serves('1'));
    expect((await edge.post('/predict', { features: [1, 1, 1] })).body).toMatchObject({ prediction: 3, version: '1' });
    expect(await edge.post('/predict', { features: [1, 1, 1], version: '3' })).toMatchObject({ status: 404 });
  });

  it('keeps versions of the policy beside the live one and the one before, and lets the channel alone decide', async () => {
    for (const version of ['1', '2', '3', '4']) publish(version, Number(version));
    moveChannel(1, '2', '1');
    const edge = await start({ MODEL_VERSION_POLICY: 'latest', MODEL_CONTROL: 'explicit' });
    // Those beside the live one are loaded side by side, in whatever order they are ready.
    await until(edge, knows(['1', '2', '4']), '/v2/models/tiny');
    expect((await edge.get('/health')).body).toMatchObject({ models: { tiny: '2' } });

    const ask = (verb: string, version?: string) =>
      edge.post(`/v2/repository/models/tiny/${verb}`, { parameters: { version } });
    expect(await ask('load', '3')).toMatchObject({ status: 200 });
    expect((await edge.get('/health')).body).toMatchObject({ models: { tiny: '2' } });
    expect((await edge.post('/predict', { features: [1, 1, 1], version: '3' })).body).toMatchObject({ prediction: 9 });
    expect(await ask('unload', '3')).toMatchObject({ status: 200 });
    for (const version of ['2', undefined]) {
      expect(await ask('unload', version)).toMatchObject({
        status: 400,
        body: { error: "failed to unload 'tiny': its channel says that version 2 serves; move the channel instead" },
      });
    }
    expect((await edge.post('/v2/repository/index', {})).body).toEqual(
      ['1', '2', '4'].map((version) => ({ name: 'tiny', version, state: 'READY', reason: '' })),
    );
  });

  it('lets no client load models, unless it is told to', async () => {
    publish('1', 1);
    moveChannel(1, '1');
    const edge = await start();
    await until(edge, serves('1'));
    expect(await edge.post('/v2/repository/models/tiny/load', {})).toMatchObject({ status: 400 });
  });

  it('forgets predictions that an invalidation names', async () => {
    publish('1', 1);
    moveChannel(1, '1');
    const edge = await start();
    await until(edge, serves('1'));
    const ask = async () => (await edge.post('/predict', { features: [8, 8, 8] })).body;
    await ask();
    expect(await ask()).toMatchObject({ cached: true });
    const targets = { keys: [], tags: ['model:tiny'], prefixes: [], patterns: [] };
    await send({ kind: 'invalidate', id: randomUUID(), targets });
    const next = await until(
      edge,
      (body) => JSON.stringify(body).includes('"cached":false'),
      '/predict?features=8,8,8',
    );
    expect(next.body).toMatchObject({ prediction: 24 });
  });
});
