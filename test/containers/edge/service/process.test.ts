import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { bundleEdgeProgram, EDGE_PROGRAMS } from '../../../../lib/constructs/edge-programs';
import { temporaryDirectory } from '../../../support/edge-service';
import { descendantsOf, type RunningProcess, stillRunning } from '../../../support/processes';
import { powerModel, tinyModel, writeModel } from '../../../support/tiny-models';

const PROJECT = resolve(__dirname, '../../../..');
let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let server: string;

beforeAll(async () => {
  folder = await temporaryDirectory();
  server = join(folder.path, 'server.js');
  await writeModel(join(folder.path, 'models'), 'tiny', '1', tinyModel(2));
  await writeModel(join(folder.path, 'worked'), 'power', '1', powerModel(300));
  // The image has ONNX Runtime beside the bundle.
  await symlink(join(PROJECT, 'node_modules'), join(folder.path, 'node_modules'));
  for (const program of EDGE_PROGRAMS) await writeFile(join(folder.path, `${program}.js`), bundleEdgeProgram(program));
});
afterAll(() => folder.remove());

const started = new Set<ChildProcess>();
afterEach(() => {
  for (const child of started) child.kill('SIGKILL');
  started.clear();
});

interface Edge {
  readonly process: ChildProcess;
  /** What the process has written to its standard error. */
  errors(): string;
}

function startBundle(environment: Record<string, string>): Edge {
  const child = spawn(process.execPath, [server], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.add(child);
  let written = '';
  child.stderr.on('data', (chunk: Buffer) => {
    written += chunk.toString();
  });
  return { process: child, errors: () => written };
}

/** The address that the process says it listens on. */
async function listening(edge: Edge): Promise<string> {
  let log = '';
  for await (const chunk of edge.process.stdout ?? []) {
    log += String(chunk);
    const address = /Server listening at (http:\/\/[\d.:]+)/.exec(log)?.[1];
    if (address !== undefined) return address;
  }
  throw new Error(`the service ended without listening: ${edge.errors()}`);
}

function matrixRequest(size: number): string {
  const data = new Array<number>(size * size).fill(0);
  return JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [size, size], data }] });
}

/** Waits until one of the processes has used 0.3 s of CPU more than now (clock ticks of proc(5) are 10 ms). */
async function untilBusy(processes: readonly RunningProcess[]): Promise<void> {
  const ticks = () => processes.map(({ pid }) => Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[13]));
  const before = ticks();
  while (!ticks().some((now, i) => now > (before[i] ?? 0) + 30))
    await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('the bundle that the image runs', () => {
  it('serves, drains on SIGTERM while a request is under way, and ends with 0', async () => {
    let answer: () => void = () => undefined;
    const asked = new Promise<void>((resolveAsked) => {
      origin.on('request', (_request, response) => {
        answer = () => response.end('late');
        resolveAsked();
      });
    });
    const edge = startBundle({
      MODELS_DIR: join(folder.path, 'models'),
      PORT: '0',
      ORIGIN_URL: `http://127.0.0.1:${(origin.address() as AddressInfo).port}`,
    });
    const url = await listening(edge);
    const prediction = await fetch(`${url}/predict`, { method: 'POST', body: '{"features":[1,2,3]}' });
    expect(await prediction.json()).toMatchObject({ prediction: 12, cached: false });

    const slow = fetch(`${url}/slow`);
    await asked;
    const ended = once(edge.process, 'exit');
    edge.process.kill('SIGTERM');
    while ((await fetch(`${url}/health`)).status !== 503);
    answer();
    expect(await (await slow).text()).toBe('late');
    expect(await ended).toEqual([0, null]);
  });

  it('writes its metrics for CloudWatch between the lines of its log, for the last time when it ends', async () => {
    const edge = startBundle({
      MODELS_DIR: join(folder.path, 'models'),
      PORT: '0',
      REGION: 'eu-west-1',
      CLOUDWATCH_ENVIRONMENT: 'test',
    });
    let log = '';
    const url = await new Promise<string>((found) => {
      edge.process.stdout?.on('data', (chunk: Buffer) => {
        log += chunk.toString();
        const address = /Server listening at (http:\/\/[\d.:]+)/.exec(log)?.[1];
        if (address !== undefined) found(address);
      });
    });
    await fetch(`${url}/predict`, { method: 'POST', body: '{"features":[1,2,3]}' });
    const closed = once(edge.process, 'close');
    edge.process.kill('SIGTERM');
    await closed;
    const lines = log.trim().split('\n');
    const documents = lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => '_aws' in line);
    const ofRegion = documents.filter((document) => 'ModelsRefused' in document);
    expect(ofRegion[0]).toMatchObject({ Environment: 'test', Region: 'eu-west-1', ModelsRefused: 0 });
    expect(ofRegion.reduce((sum, { Requests }) => sum + Number(Requests), 0)).toBe(1);
    expect(documents).toContainEqual(expect.objectContaining({ Model: 'tiny', Version: '1', LiveTasks: 1 }));
  });

  describe('with a model that runs in worker processes', () => {
    /** A service with its workers, one of which has begun to run a matrix of this size. */
    async function startBusy(size: number): Promise<{
      edge: Edge;
      url: string;
      workers: RunningProcess[];
      run: Promise<Response>;
    }> {
      const edge = startBundle({ MODELS_DIR: join(folder.path, 'worked'), PORT: '0', MODEL_WORKERS: '2' });
      const url = await listening(edge);
      const workers = await descendantsOf(edge.process.pid ?? 0);
      expect(workers.length).toBeGreaterThanOrEqual(2);
      const run = fetch(`${url}/v2/models/power/infer`, {
        method: 'POST',
        headers: { connection: 'close' },
        body: matrixRequest(size),
      });
      await untilBusy(workers);
      return { edge, url, workers, run };
    }

    it('leaves no worker behind when it is killed', async () => {
      const { edge, workers, run } = await startBusy(1_000);
      edge.process.kill('SIGKILL');
      await expect(run).rejects.toThrow();
      expect(await stillRunning(workers)).toEqual([]);
    });

    it('answers other requests meanwhile, and the run when Ctrl-C reaches all processes', async () => {
      const { edge, url, workers, run } = await startBusy(500);
      expect((await fetch(`${url}/health`)).status).toBe(200);
      const ended = once(edge.process, 'exit');
      for (const { pid } of workers) process.kill(pid, 'SIGINT');
      edge.process.kill('SIGINT');
      expect(await (await run).json()).toMatchObject({ outputs: [{ name: 'power', shape: [500, 500] }] });
      expect(await ended).toEqual([0, null]);
      expect(await stillRunning(workers)).toEqual([]);
    }, 120_000);
  });

  it.each([
    [{ PORT: 'x', MODELS_DIR: '.' }, 'PORT="x": must be a TCP port, a whole number from 0 to 65535\n'],
    [{ MODELS_DIR: '/nowhere' }, /^MODELS_DIR="\/nowhere" must be a readable folder: ENOENT.*\n$/],
  ])('ends with 1 and one sentence for %j', async (environment, sentence) => {
    const edge = startBundle({ LOG_LEVEL: 'silent', ...environment });
    expect(await once(edge.process, 'close')).toEqual([1, null]);
    expect(edge.errors()).toMatch(sentence);
  });

  it('says so when its port is taken', async () => {
    const { port } = origin.address() as AddressInfo;
    const edge = startBundle({ LOG_LEVEL: 'silent', MODELS_DIR: join(folder.path, 'models'), PORT: String(port) });
    expect(await once(edge.process, 'close')).toEqual([1, null]);
    expect(edge.errors()).toMatch(new RegExp(`^PORT=${port}: cannot listen there: .*EADDRINUSE`));
  });

  const origin = createServer();
  beforeAll(async () => {
    origin.listen(0, '127.0.0.1');
    await once(origin, 'listening');
  });
  afterAll(() => {
    origin.closeAllConnections();
    origin.close();
  });
});
