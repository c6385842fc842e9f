/**
 * Running models in this process: ONNX Runtime alone, behind the scheduler with and without micro-batching, and behind
 * predictor and cache where every request is a miss; contenders take turns round by round.
 * `npm run bench:inference-engine -- --models ../shared/models --seconds 0.5 --rounds 5`; `--model NAME`
 * for one of them.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createEdgeCache } from '../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../containers/edge/cache/memory-store';
import { demandOf } from '../containers/edge/inference/execution/demand';
import { InlineHost } from '../containers/edge/inference/execution/inline-host';
import { Scheduler } from '../containers/edge/inference/execution/scheduler';
import type { RunnableSession } from '../containers/edge/inference/execution/types';
import { LoadedModel } from '../containers/edge/inference/loaded-model';
import { Predictor } from '../containers/edge/inference/predictor';
import { elementCount, type Tensor } from '../containers/edge/inference/tensors';
import { CachePolicy } from '../lib/core/manifest';
import { type Effort, positive, runBenchmark } from './support/options';
import { median, printTable, short } from './support/report';

const MODELS = ['digits_mlp', 'mnist_cnn', 'magika'];
const ROWS = [1, 8, 32, 128];
const CONCURRENCIES = [1, 64];
/** More rows at once than this would measure how long a queue can be. */
const MAX_ROWS_AT_ONCE = 2_048;
const CACHE_BYTES = 8 * 1024 * 1024;

/** Answers one request. */
type Contender = (input: Tensor) => Promise<unknown>;

interface Scenario {
  readonly rows: number;
  /** Requests under way at once. */
  readonly inFlight: number;
}

/** What one turn of one contender took per row, microseconds. */
interface Turn {
  readonly wall: number;
  readonly cpu: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      models: { type: 'string', default: '../shared/models' },
      model: { type: 'string' },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
    },
  });
  const effort: Effort = {
    seconds: positive('--seconds', values.seconds, 0.5),
    rounds: Math.ceil(positive('--rounds', values.rounds, 5)),
  };
  for (const name of values.model === undefined ? MODELS : [values.model])
    await measureModel(values.models, name, effort);
}

async function measureModel(folder: string, name: string, effort: Effort): Promise<void> {
  const path = join(folder, name, '1', 'model.onnx');
  const sha256 = createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
  const host = new InlineHost();
  const session = await host.open({ model: name, version: '1', path, sha256 });
  const batchable = [...session.inputs, ...session.outputs].every(({ shape }) => shape[0] === -1);
  const contenders = contendersFor(session, { name, sha256, batchable });
  const rows: string[][] = [];
  for (const count of batchable ? ROWS : [1]) {
    for (const inFlight of CONCURRENCIES) {
      if (count * inFlight > MAX_ROWS_AT_ONCE) continue;
      rows.push(...(await measure({ rows: count, inFlight }, session, contenders, effort)));
    }
  }
  console.log(`${name}, ${batchable ? 'rows can be run together' : 'one row a run'}`);
  printTable(['rows x requests at once', 'contender', 'rows/s', 'CPU us/row', 'x rows/s', '+ CPU us/row'], rows);
  await host.close();
}

function contendersFor(
  session: RunnableSession,
  { name, sha256, batchable }: { readonly name: string; readonly sha256: string; readonly batchable: boolean },
): ReadonlyMap<string, Contender> {
  const modelWith = (mayBatch: boolean) =>
    new LoadedModel({ name, version: '1', sha256, cache: CachePolicy.parse({}), session, batchable: mayBatch });
  const queued = (mayBatch: boolean): Contender => {
    const scheduler = new Scheduler();
    const { queue } = modelWith(mayBatch);
    const demand = demandOf(undefined);
    return (input) => scheduler.run(queue, [input], demand);
  };
  const predictor = new Predictor(
    createEdgeCache({
      memory: createMemoryStore(CACHE_BYTES),
      index: new InvalidationIndex({ epoch: 'bench', seq: 0 }),
    }),
  );
  const cached = modelWith(batchable);
  return new Map<string, Contender>([
    ['session alone', (input) => session.run([input])],
    ['scheduler, no batching', queued(false)],
    ['scheduler', queued(batchable)],
    ['predictor, all misses', (input) => predictor.predict(cached, [input])],
  ]);
}

async function measure(
  scenario: Scenario,
  session: RunnableSession,
  contenders: ReadonlyMap<string, Contender>,
  { seconds, rounds }: Effort,
): Promise<string[][]> {
  const turns = new Map<string, Turn[]>([...contenders.keys()].map((name) => [name, []]));
  const nextInput = inputsOf(session, scenario.rows);
  for (let round = -1; round < rounds; round += 1) {
    for (const [name, contender] of contenders) {
      // The first round warms up.
      const turn = await takeTurn(contender, nextInput, scenario, round < 0 ? Math.min(seconds, 0.2) : seconds);
      if (round >= 0) turns.get(name)?.push(turn);
    }
  }
  const bare = medians(turns.get('session alone') ?? []);
  return [...turns].map(([name, list]) => {
    const { wall, cpu } = medians(list);
    return [
      `${scenario.rows} x ${scenario.inFlight}`,
      name,
      short(1e6 / wall),
      short(cpu),
      (bare.wall / wall).toFixed(2),
      (cpu - bare.cpu).toFixed(1),
    ];
  });
}

function medians(turns: readonly Turn[]): Turn {
  return { wall: median(turns.map(({ wall }) => wall)), cpu: median(turns.map(({ cpu }) => cpu)) };
}

/** Inputs that differ from one another in their first element. */
function inputsOf(session: RunnableSession, rows: number): () => Tensor {
  const [spec] = session.inputs;
  if (spec === undefined) throw new Error('the model has no input');
  const shape = spec.shape.map((axis, i) => (i === 0 ? rows : axis));
  const count = elementCount(shape);
  let n = 0;
  return () => {
    n += 1;
    const data = spec.datatype === 'INT32' ? new Int32Array(count) : new Float32Array(count);
    data.fill(n % 7);
    data[0] = n % 1_000;
    data[1] = Math.floor(n / 1_000) % 1_000;
    data[2] = Math.floor(n / 1_000_000);
    return { name: spec.name, datatype: spec.datatype, shape, data };
  };
}

async function takeTurn(
  contender: Contender,
  nextInput: () => Tensor,
  { rows, inFlight }: Scenario,
  seconds: number,
): Promise<Turn> {
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const end = began + seconds * 1000;
  let done = 0;
  const lane = async () => {
    while (performance.now() < end) {
      await contender(nextInput());
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  const wallMs = performance.now() - began;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { wall: (wallMs * 1000) / (done * rows), cpu: (user + system) / (done * rows) };
}

runBenchmark(main);
