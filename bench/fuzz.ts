/**
 * Sends malformed requests to a real edge service and looks at every answer: a 2xx or 4xx of the right shape, the
 * process alive and its memory bounded. The same seed sends the same requests.
 *
 *   npm run fuzz -- --requests 100000 --seed 1
 */
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync, inflateSync } from 'node:zlib';
import { type ElementType, encodeOnnx } from '../models/onnx/writer';
import { seededRandom } from '../models/random';
import { type FuzzRequest, type IDENTITIES, KINDS } from './fuzz/requests';
import { startEdgeProcess } from './support/edge-process';
import { runBenchmark } from './support/options';
import { printTable } from './support/report';

const IN_FLIGHT = 16;
const MIB = 1024 * 1024;
const MEMORY_CACHE_BYTES = 16 * MIB;
/** Requests after which the heap, the caches and the compiled code have reached their size. */
const WARM_UP_SHARE = 0.2;
/** Growth of the resident memory beyond which something is kept that should not be. */
const ALLOWED_GROWTH_BYTES = 96 * MIB;
const ELEMENT_TYPES: Readonly<Record<keyof typeof IDENTITIES, ElementType>> = {
  fp32: 'FLOAT',
  fp16: 'FLOAT16',
  int64: 'INT64',
  bool: 'BOOL',
  bytes: 'STRING',
};

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

interface Tally {
  requests: number;
  answered: number;
  refused: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { requests: { type: 'string' }, seed: { type: 'string' } } });
  const requests = wholeOption('--requests', values.requests, 100_000);
  const seed = wholeOption('--seed', values.seed, 1);
  const folder = await mkdtemp(join(tmpdir(), 'mlcdn-fuzz-'));
  try {
    await writeModels(folder);
    const edge = await startEdgeProcess({
      env: {
        MODELS_DIR: folder,
        DEFAULT_MODEL: 'tiny',
        MODEL_CONTROL: 'none',
        LOG_LEVEL: 'error',
        MEMORY_CACHE_MAX_BYTES: `${MEMORY_CACHE_BYTES}`,
      },
    });
    try {
      await fuzz(edge.port, edge.pid, requests, seed);
    } catch (error) {
      throw new Error(`${String(error)}\n${edge.output()}`);
    } finally {
      await edge.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function fuzz(port: number, pid: number, requests: number, seed: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT });
  const kinds = Object.entries(KINDS);
  const tallies = new Map(kinds.map(([kind]) => [kind, { requests: 0, answered: 0, refused: 0 } as Tally]));
  const before = await residentBytes(pid);
  let warm = before;
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < requests; i = next++) {
      const [kind, make] = kinds[i % kinds.length] as (typeof kinds)[number];
      // A stream of its own, so that a request can be made again without those before it.
      const sent = make(seededRandom(seed * 1_000_003 + i));
      const { status } = await answerOf(agent, port, sent, `request ${i} of seed ${seed} (${kind})`);
      const tally = tallies.get(kind) as Tally;
      tally.requests += 1;
      if (status < 300) tally.answered += 1;
      else tally.refused += 1;
      if (i === Math.floor(requests * WARM_UP_SHARE)) warm = await residentBytes(pid);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  const after = await residentBytes(pid);
  agent.destroy();
  printTable(
    ['kind of request', 'sent', '2xx', '4xx', 'other'],
    [...tallies].map(([kind, { requests: sent, answered, refused }]) => [kind, sent, answered, refused, 0]),
  );
  printTable(
    ['resident memory of the service', 'MiB'],
    [
      ['before the first request', mib(before)],
      [`after ${WARM_UP_SHARE * 100} % of them`, mib(warm)],
      ['after the last', mib(after)],
    ],
  );
  if (after > warm + ALLOWED_GROWTH_BYTES) throw new Error(`memory grew from ${mib(warm)} to ${mib(after)} MiB`);
}

async function answerOf(agent: Agent, port: number, sent: FuzzRequest, what: string): Promise<Answer> {
  const answer = await exchange(agent, port, sent).catch((error: unknown) => {
    throw new Error(`${what} got no answer: ${String(error)}\n${describe(sent)}`);
  });
  const fault = faultOf(answer, sent);
  if (fault === undefined) return answer;
  throw new Error(`${what}: ${fault}\n${describe(sent)}\n${answer.status} ${answer.body.toString().slice(0, 500)}`);
}

async function exchange(agent: Agent, port: number, sent: FuzzRequest): Promise<Answer> {
  const { method, path, headers, body } = sent;
  const request = httpRequest({
    agent,
    host: '127.0.0.1',
    port,
    method,
    path,
    headers: { ...headers, 'content-length': body.length },
  });
  request.end(body);
  const [response] = await once(request, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
}

/** What is wrong with an answer; `undefined` when nothing is. */
function faultOf(answer: Answer, { path }: FuzzRequest): string | undefined {
  const { status } = answer;
  if (!((status >= 200 && status < 300) || (status >= 400 && status < 500))) return `status ${status}`;
  try {
    const { error } = jsonOf(answer);
    if (status < 300) return error === undefined ? undefined : 'an error in a 2xx';
    const isOpenInference = path.startsWith('/v2/') || /^\/v2(\?|$)/.test(path);
    const message = isOpenInference ? error : (error as { message?: unknown } | undefined)?.message;
    return typeof message === 'string' && message !== '' ? undefined : 'an error without a message in its place';
  } catch (error) {
    return `not readable: ${String(error)}`;
  }
}

function jsonOf({ headers, body }: Answer): Record<string, unknown> {
  const encoding = headers['content-encoding'];
  const plain = encoding === 'gzip' ? gunzipSync(body) : encoding === 'deflate' ? inflateSync(body) : body;
  const length = headers['inference-header-content-length'];
  const json = JSON.parse(plain.toString('utf8', 0, length === undefined ? plain.length : Number(length)));
  const sizes = (json.outputs ?? []).map(
    (output: { parameters?: { binary_data_size?: number } }) => output.parameters?.binary_data_size ?? 0,
  );
  const binary = sizes.reduce((sum: number, size: number) => sum + size, 0);
  if (length !== undefined && plain.length !== Number(length) + binary)
    throw new Error('the binary data have another length');
  return json;
}

function describe({ method, path, headers, body }: FuzzRequest): string {
  return `${method} ${path} ${JSON.stringify(headers)}\n${JSON.stringify(body.toString('latin1').slice(0, 2_000))}`;
}

async function writeModels(folder: string): Promise<void> {
  for (const [name, elementType] of Object.entries(ELEMENT_TYPES)) {
    const dims = ['n', 'm'];
    await writeModel(folder, name, {
      inputs: [{ name: 'x', elementType, dims }],
      outputs: [{ name: 'y', elementType, dims }],
      initializers: [],
      nodes: [{ operator: 'Identity', inputs: ['x'], output: 'y' }],
    });
  }
  await writeModel(folder, 'tiny', {
    inputs: [{ name: 'features', dims: ['n', 3] }],
    outputs: [{ name: 'score', dims: ['n', 1] }],
    initializers: [{ name: 'weights', dims: [3, 1], values: Float32Array.of(1, 2, 3) }],
    nodes: [{ operator: 'MatMul', inputs: ['features', 'weights'], output: 'score' }],
  });
}

async function writeModel(
  folder: string,
  name: string,
  graph: Omit<Parameters<typeof encodeOnnx>[0], 'name' | 'description' | 'version'>,
): Promise<void> {
  const directory = join(folder, name, '1');
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'model.onnx'), encodeOnnx({ name, description: name, version: 1, ...graph }));
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}

function wholeOption(option: string, text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!(Number.isSafeInteger(value) && value > 0)) throw new Error(`${option} ${text}: must be a whole number above 0`);
  return value;
}

runBenchmark(main);
