import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { startSubject } from '../subjects';
import type { BareAnswer } from './bare-server';
import { bundle } from './bundle';
import { NODE_OPTIONS_OF_IMAGE, startEdgeProcess } from './edge-process';
import { freePort, type Started, startProcess, untilListening } from './processes';
import type { RequestKind } from './requests';

/** The core of the measured server, and that of everything around it. */
export const SERVER_CORE = 0;
export const OTHER_CORE = 1;

/** A server under load. */
export interface Contender {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
  /** The control log that its caches follow, if it does. */
  readonly redisUrl?: string | undefined;
  stop(): Promise<void>;
}

/** The tier that is to answer. */
export type AnsweredBy = 'memory' | 'l1' | 'l2' | 'origin';

const SMALLEST_MEMORY = String(1024 * 1024);

/** The edge service and its model workers, bundled as in its image, with the tiers that make `answeredBy` answer. */
export async function startEdgeService(answeredBy: AnsweredBy, originPort: number): Promise<Contender> {
  const folder = await mkdtemp(join(tmpdir(), 'mlcdn-bench-edge-'));
  const redis = answeredBy === 'l2' ? undefined : await startRedisServer();
  const started = await startEdgeProcess({
    core: SERVER_CORE,
    env: {
      REGION: 'us-east-1',
      MODELS_DIR: join('.build', 'models'),
      ORIGIN_URL: `http://127.0.0.1:${originPort}`,
      ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
      ...(answeredBy === 'l1' ? {} : { DISK_CACHE_DIR: folder }),
      ...(answeredBy === 'memory' ? {} : { MEMORY_CACHE_MAX_BYTES: SMALLEST_MEMORY }),
    },
  });
  return {
    name: 'mlcdn',
    pid: started.pid,
    port: started.port,
    redisUrl: redis?.url,
    stop: async () => {
      await started.stop();
      await redis?.started.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startRedisServer(): Promise<{ url: string; started: Started }> {
  const port = await freePort();
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const started = startProcess('redis-server', args, { core: OTHER_CORE });
  await untilListening(port, started);
  return { url: `redis://127.0.0.1:${port}`, started };
}

/** node:http that sends what `model` answers: the same body, the same number of header fields. */
export async function startBareServer(model: Contender, kind: RequestKind): Promise<Contender> {
  return startAnswering(await sampleOf(model, kind));
}

/** As `startBareServer`, and for each GET it first reads from the L1 of `model` what is stored there. */
export async function startBareReader(model: Contender, kind: RequestKind): Promise<Contender> {
  if (model.redisUrl === undefined) throw new Error(`${model.name} has no L1 to read from`);
  const started = await startAnswering(await sampleOf(model, kind), model.redisUrl);
  return { ...started, name: 'bare node:http, one GET of Redis a request' };
}

/** node:http that sends one answer to every request; with `redisUrl` once it has read what L1 holds for a GET. */
export async function startAnswering(answer: BareAnswer, redisUrl?: string): Promise<Contender> {
  const port = await freePort();
  const program = await bundle('bench/support/bare-server.ts', 'bare-server');
  const words = [...NODE_OPTIONS_OF_IMAGE, program, `${port}`, JSON.stringify(answer), ...(redisUrl ? [redisUrl] : [])];
  const started = startProcess(process.execPath, words, { core: SERVER_CORE });
  await untilListening(port, started);
  return { name: 'bare node:http', pid: started.pid, port, stop: () => started.stop() };
}

/** Fields that node:http adds by itself. */
const OWN_FIELDS = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding']);

/** A hit: the second answer to one request. */
async function sampleOf(model: Contender, kind: RequestKind): Promise<BareAnswer> {
  const ask = () =>
    kind === 'get object'
      ? request(`http://127.0.0.1:${model.port}/object/0`)
      : request(`http://127.0.0.1:${model.port}/predict`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ features: [20.5, 24, 0.9, 18, 20, 1, 4.6, 1] }),
        });
  await (await ask()).body.dump();
  const { statusCode, headers, body } = await ask();
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`${model.name} answers ${statusCode} to ${kind}: ${text}`);
  const kept = Object.entries(headers).filter(([name]) => !OWN_FIELDS.has(name));
  return { headers: kept.flatMap(([name, value]) => [name, String(value)]), body: text };
}

/** nginx or Varnish. */
export async function startProxy(name: 'nginx' | 'varnish', originPort: number): Promise<Contender> {
  return { name, ...(await startSubject(name, { originPort, core: SERVER_CORE })) };
}
