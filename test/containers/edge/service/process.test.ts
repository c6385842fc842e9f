import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlink } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { temporaryDirectory } from '../../../support/edge-service';
import { tinyModel, writeModel } from '../../../support/tiny-models';

const PROJECT = resolve(__dirname, '../../../..');
let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let server: string;

beforeAll(async () => {
  folder = await temporaryDirectory();
  server = join(folder.path, 'server.js');
  await writeModel(join(folder.path, 'models'), 'tiny', '1', tinyModel(2));
  // The image has ONNX Runtime beside the bundle.
  await symlink(join(PROJECT, 'node_modules'), join(folder.path, 'node_modules'));
  await build({
    entryPoints: [join(PROJECT, 'containers/edge/main.ts')],
    outfile: server,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['onnxruntime-node'],
    logLevel: 'silent',
  });
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
