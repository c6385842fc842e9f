/**
 * Inference over HTTP where no cache has the answer: the edge service with and without micro-batching against bare
 * node:http that reads the same bodies and sends answers of the same size, and against bare `session.run`; each alone on
 * one core, taking turns, load on the other.
 *
 *   npm run bench:inference-http -- --models ../shared/models --seconds 1.5 --rounds 6 --only digits_mlp --scenario binary
 *
 * `--only`: part of a model's name; `--scenario`: part of a scenario's, as the tables have it (`1, predict, 64`);
 * `--connections 1,4`: fewer at once for a model whose runs take a second. The whole table of one model takes some 9
 * minutes with `--seconds 0.6 --rounds 3`; of magika, whose largest batches take 64 clients some ten seconds a round, more:
 * `--connections 1`, then `--connections 64 --rounds 2`.
 * Linux with taskset. Measures version 1 of digits_mlp, mnist_cnn and magika, or the project's own model where the folder
 * has none of them.
 */
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { request } from 'undici';
import type { BareRuns } from './support/bare-session';
import { bundle } from './support/bundle';
import { type Contender, OTHER_CORE, SERVER_CORE, startAnswering } from './support/contenders';
import { startEdgeProcess } from './support/edge-process';
import { type InferForm, type InferKind, InferTemplate } from './support/infer-requests';
import {
  type Measured,
  nameOf,
  printAlone,
  printGoals,
  printThroughput,
  type Scenario,
  type ServerFigures,
} from './support/inference-report';
import type { Load, LoadResult } from './support/load';
import { positive, runBenchmark } from './support/options';
import { outputOf } from './support/processes';
import { median, pairedRatio } from './support/report';

interface BenchModel extends Pick<InferKind, 'model' | 'datatype' | 'input' | 'shape'> {
  readonly batches: readonly number[];
}

const MODELS = ['digits_mlp', 'mnist_cnn', 'magika'];
/** The project's own model, where none of them is there. */
const OWN_MODELS = join('.build', 'models');
const OWN_MODEL = 'ranker';
const BATCHES = [1, 8, 32, 128];
const CONCURRENCIES = '1,64';
/**
 * Each server is asked in a new form for this long before it is measured, seconds: for its first 30,000 requests or so the service runs
 * code that is still being compiled, at several times its cost, and bare node:http has hardly any.
 */
const WARM_UP_SECONDS = 2;
/** One at a time would be too few requests. */
const WARM_UP_CONNECTIONS = 64;

interface Options {
  readonly models: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly only: string;
  readonly scenario: string;
  /** Requests at once. */
  readonly connections: readonly number[];
}

interface Configuration {
  readonly max_batch_size: number;
  readonly instance_group: readonly { readonly count: number }[];
  readonly parameters: { readonly placement: { readonly string_value: string } };
}

async function main(): Promise<void> {
  const options = readOptions();
  const isThere = (folder: string) => (name: string) => existsSync(join(folder, name, '1', 'model.onnx'));
  const there = MODELS.filter(isThere(options.models));
  for (const name of MODELS) if (!there.includes(name)) console.log(`${name}: not in ${options.models}, left out`);
  for (const name of there) if (name.includes(options.only)) await measureModel(name, options);
  if (there.length > 0) return;
  if (!isThere(OWN_MODELS)(OWN_MODEL)) throw new Error(`${OWN_MODELS} has no ${OWN_MODEL}: npm run models makes it`);
  console.log(`${OWN_MODEL} of ${OWN_MODELS} instead`);
  await measureModel(OWN_MODEL, { ...options, models: OWN_MODELS });
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      models: { type: 'string', default: '../shared/models' },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      only: { type: 'string', default: '' },
      scenario: { type: 'string', default: '' },
      connections: { type: 'string', default: CONCURRENCIES },
    },
  });
  return {
    models: resolve(values.models),
    seconds: positive('--seconds', values.seconds, 2),
    rounds: Math.ceil(positive('--rounds', values.rounds, 3)),
    only: values.only,
    scenario: values.scenario,
    connections: values.connections.split(',').map((each) => positive('--connections', each, 1)),
  };
}

async function measureModel(name: string, options: Options): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'mlcdn-bench-inference-'));
  const contenders: Contender[] = [];
  try {
    for (const [title, config] of [
      ['mlcdn, no batching', 'max_batch_size: 1\n'],
      ['mlcdn', ''],
    ] as const) {
      const models = join(folder, title.replace(/\W/g, ''));
      await cp(join(options.models, name, '1'), join(models, name, '1'), { recursive: true });
      if (config !== '') await writeFile(join(models, name, 'config.pbtxt'), config);
      contenders.push(await startService(title, models));
    }
    const [, service] = contenders as [Contender, Contender];
    const model = await describe(name, service);
    for (const contender of contenders)
      console.log(`${name}, ${contender.name}: ${await placementOf(name, contender)}`);
    const scenarios: Measured[] = [];
    // Forms that the services have been asked in.
    const warm = new Set<InferForm>();
    for (const rowsAtOnce of model.batches) {
      const forms: InferForm[] = [rowsAtOnce === 1 ? 'predict' : 'batch_predict', 'infer json', 'infer binary'];
      for (const form of forms) {
        for (const connections of options.connections) {
          const kind: InferKind = { ...model, form, rows: rowsAtOnce };
          const path = join(options.models, name, '1', 'model.onnx');
          const scenario: Scenario = { kind, connections };
          if (!nameOf(scenario).includes(options.scenario)) continue;
          scenarios.push(await measure(scenario, path, contenders, options, warm));
        }
      }
    }
    printThroughput(name, scenarios);
    printAlone(name, scenarios);
    printGoals(name, scenarios);
  } finally {
    for (const contender of contenders) await contender.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function startService(name: string, models: string): Promise<Contender> {
  const started = await startEdgeProcess({
    core: SERVER_CORE,
    env: { REGION: 'us-east-1', MODELS_DIR: models, MEMORY_CACHE_MAX_BYTES: String(16 * 1024 * 1024) },
  });
  return { name, pid: started.pid, port: started.port, stop: started.stop };
}

interface Metadata {
  readonly inputs: readonly { readonly name: string; readonly datatype: 'FP32' | 'INT32'; readonly shape: number[] }[];
}

async function describe(model: string, { port }: Contender): Promise<BenchModel> {
  const { body } = await request(`http://127.0.0.1:${port}/v2/models/${model}`);
  const { inputs } = (await body.json()) as Metadata;
  const [input] = inputs;
  if (input === undefined) throw new Error(`${model} has no input`);
  const shape = input.shape.map((axis) => (axis === -1 ? 1 : axis));
  return { model, input: input.name, datatype: input.datatype, shape, batches: input.shape[0] === -1 ? BATCHES : [1] };
}

/** Where the service runs the model and whether with rows of others, as its configuration says. */
async function placementOf(model: string, { port }: Contender): Promise<string> {
  const { body } = await request(`http://127.0.0.1:${port}/v2/models/${model}/config`);
  const { parameters, max_batch_size: rows, instance_group: groups } = (await body.json()) as Configuration;
  const slots = groups.reduce((sum, { count }) => sum + count, 0);
  const batching = rows > 1 ? `up to ${rows} rows a run` : 'one request a run';
  return `in the ${parameters.placement.string_value}, ${slots} run(s) at a time, ${batching}`;
}

async function measure(
  scenario: Scenario,
  path: string,
  services: readonly Contender[],
  { seconds, rounds }: Options,
  warm: Set<InferForm>,
): Promise<Measured> {
  const { kind } = scenario;
  const bare = await startBare(kind, services[1] as Contender);
  const contenders: readonly Contender[] = [bare, ...services];
  const results = new Map<Contender, LoadResult[]>(contenders.map((contender) => [contender, []]));
  const ceilings: number[] = [];
  try {
    for (const contender of contenders) {
      const isWarm = contender !== bare && warm.has(kind.form);
      if (!isWarm) await runLoad({ kind, connections: WARM_UP_CONNECTIONS }, contender, WARM_UP_SECONDS);
    }
    warm.add(kind.form);
    for (let round = 0; round < rounds; round += 1) {
      ceilings.push(await bareRuns({ ...kind, path, seconds }));
      for (const contender of contenders) results.get(contender)?.push(await runLoad(scenario, contender, seconds));
    }
  } finally {
    await bare.stop();
  }
  const rates = (contender: Contender) => (results.get(contender) ?? []).map(({ perSecond }) => perSecond);
  const rows = (contender: Contender) => rates(contender).map((perSecond) => perSecond * kind.rows);
  const both = rows(bare).map((http, round) => 1 / (1 / http + 1 / (ceilings[round] ?? Number.NaN)));
  return {
    scenario,
    servers: contenders.map((contender) => ({
      ...mediansOf(results.get(contender) ?? []),
      server: contender.name,
      ofNodeHttp: pairedRatio(rates(contender), rates(bare)),
      ofSession: pairedRatio(rows(contender), ceilings),
      ofBoth: pairedRatio(rows(contender), both),
    })),
  };
}

function mediansOf(
  results: readonly LoadResult[],
): Omit<ServerFigures, 'server' | 'ofNodeHttp' | 'ofSession' | 'ofBoth'> {
  const of = (pick: (result: LoadResult) => number) => median(results.map(pick));
  return {
    perSecond: of((result) => result.perSecond),
    serverCpuUs: of((result) => result.serverCpuUs),
    workersCpuUs: of((result) => result.serverCpuUs - result.serverOwnCpuUs),
    p50: of((result) => result.latency.p50),
    p99: of((result) => result.latency.p99),
    failed: results.reduce((sum, result) => sum + result.failed, 0),
  };
}

/** node:http with answers as long as the service's. */
async function startBare(kind: InferKind, service: Contender): Promise<Contender> {
  const template = new InferTemplate(kind);
  const copy = template.copy();
  template.patch(copy, 0);
  const { headers, bytes } = await exchange(service.port, copy);
  return startAnswering({ headers, body: '', bytes });
}

/** One request of the load, asked by a client that reads its whole answer. */
async function exchange(port: number, bytes: Buffer): Promise<{ headers: string[]; bytes: number }> {
  const headEnd = bytes.indexOf('\r\n\r\n');
  const [line = '', ...fields] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const sent = Object.fromEntries(fields.map((field) => field.split(': ')).filter(([name]) => name !== 'host'));
  const path = line.split(' ')[1] ?? '/';
  const body = bytes.subarray(headEnd + 4);
  const answer = await request(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers: sent, body });
  const received = Buffer.from(await answer.body.arrayBuffer());
  if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode} ${received.toString()}`);
  const own = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding']);
  const kept = Object.entries(answer.headers).filter(([name]) => !own.has(name));
  return { headers: kept.flatMap(([name, value]) => [name, String(value)]), bytes: received.length };
}

async function bareRuns(runs: BareRuns): Promise<number> {
  const program = await bundle('bench/support/bare-session.ts', 'bare-session');
  const { rowsPerSecond } = JSON.parse(
    await outputOf(process.execPath, [program, JSON.stringify(runs)], { core: SERVER_CORE }),
  );
  return rowsPerSecond;
}

let nextFirstKey = 0;

async function runLoad(
  { kind, connections }: Scenario,
  { pid, port }: Contender,
  seconds: number,
): Promise<LoadResult> {
  nextFirstKey += 2_000_000;
  const load: Load = {
    port,
    infer: kind,
    keys: 0,
    firstKey: nextFirstKey,
    connections,
    seconds,
    warmUpSeconds: 0.5,
    serverPid: pid,
  };
  const generator = await bundle('bench/support/load.ts', 'load');
  return JSON.parse(await outputOf(process.execPath, [generator, JSON.stringify(load)], { core: OTHER_CORE }));
}

runBenchmark(main);
