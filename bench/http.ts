/**
 * The edge service over HTTP against a bare node:http server with the same answers, nginx and Varnish: each alone on
 * one core, taking turns; load, Redis and origin on another. First a closed loop to saturation, then an open loop at
 * 70 % of each one's own saturated rate, quiet and with large fills and a purge storm in the background.
 *
 * A shared machine slows down and stalls for seconds at a time. So the contenders take turns in short slices, rates
 * and CPU time are compared within a round, and latency is also told for the quietest quarter of the slices: what a
 * server does to its requests is in every slice, what the machine does to them is not.
 *
 *   npm run models && npm run bench:http -- --seconds 2 --rounds 12 --only "GET object"
 *
 * Linux with taskset; nginx and varnishd are left out when they are not installed.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle } from './support/bundle';
import {
  type AnsweredBy,
  type Contender,
  OTHER_CORE,
  startBareServer,
  startEdgeService,
  startProxy,
} from './support/contenders';
import type { Load, LoadResult } from './support/load';
import { positive, runBenchmark } from './support/options';
import { freePort, outputOf, startProcess, untilItSays, untilListening } from './support/processes';
import { median, pairedRatio, printTable, quantile, short } from './support/report';
import type { RequestKind } from './support/requests';

interface Scenario {
  readonly title: string;
  readonly kind: RequestKind;
  readonly answeredBy: AnsweredBy;
  readonly keys: number;
  readonly proxies: boolean;
  readonly openLoop: boolean;
}

interface Options {
  readonly seconds: number;
  readonly rounds: number;
  readonly only: string;
}

const CONNECTIONS = 64;
const OPEN_LOOP_SHARE = 0.7;
/** Many times what the smallest memory tier holds. */
const MANY_KEYS = 20_000;

const SCENARIOS: readonly Scenario[] = [
  {
    title: 'GET object, memory hit',
    kind: 'get object',
    answeredBy: 'memory',
    keys: 1_000,
    proxies: true,
    openLoop: true,
  },
  {
    title: 'GET /predict, memory hit',
    kind: 'get predict',
    answeredBy: 'memory',
    keys: 1_000,
    proxies: false,
    openLoop: false,
  },
  {
    title: 'POST /predict, memory hit',
    kind: 'post predict',
    answeredBy: 'memory',
    keys: 1_000,
    proxies: false,
    openLoop: true,
  },
  {
    title: 'POST /predict, L1 hit',
    kind: 'post predict',
    answeredBy: 'l1',
    keys: MANY_KEYS,
    proxies: false,
    openLoop: false,
  },
  {
    title: 'POST /predict, L2 hit',
    kind: 'post predict',
    answeredBy: 'l2',
    keys: MANY_KEYS,
    proxies: false,
    openLoop: false,
  },
  {
    title: 'GET object, L1 hit',
    kind: 'get object',
    answeredBy: 'l1',
    keys: MANY_KEYS,
    proxies: false,
    openLoop: false,
  },
  {
    title: 'GET object, L2 hit',
    kind: 'get object',
    answeredBy: 'l2',
    keys: MANY_KEYS,
    proxies: false,
    openLoop: false,
  },
  {
    title: 'POST /predict, miss',
    kind: 'post predict',
    answeredBy: 'origin',
    keys: 0,
    proxies: false,
    openLoop: false,
  },
];

async function main(): Promise<void> {
  const options = readOptions();
  if (!existsSync(join('.build', 'models', 'ranker')))
    throw new Error('.build/models/ranker: must be made by npm run models');
  const originPort = await freePort();
  const origin = startProcess(process.execPath, [await bundle('bench/support/origin.ts', 'origin'), `${originPort}`], {
    core: OTHER_CORE,
  });
  await untilListening(originPort, origin);
  try {
    for (const scenario of SCENARIOS.filter(({ title }) => title.includes(options.only))) {
      await runScenario(scenario, originPort, options);
    }
  } finally {
    await origin.stop();
  }
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: { seconds: { type: 'string' }, rounds: { type: 'string' }, only: { type: 'string', default: '' } },
  });
  return {
    seconds: positive('--seconds', values.seconds, 2),
    rounds: Math.ceil(positive('--rounds', values.rounds, 12)),
    only: values.only,
  };
}

async function runScenario(scenario: Scenario, originPort: number, options: Options): Promise<void> {
  const contenders: Contender[] = [];
  try {
    const edge = await startEdgeService(scenario.answeredBy, originPort);
    contenders.push(edge);
    contenders.unshift(await startBareServer(edge, scenario.kind));
    for (const name of scenario.proxies ? (['nginx', 'varnish'] as const) : []) {
      if (isInstalled(name)) contenders.push(await startProxy(name, originPort));
    }
    const saturated = await saturate(scenario, contenders, options);
    if (scenario.openLoop) await openLoop(scenario, contenders, saturated, options);
  } finally {
    for (const contender of contenders) await contender.stop();
  }
}

function isInstalled(name: 'nginx' | 'varnish'): boolean {
  const program = name === 'nginx' ? 'nginx' : 'varnishd';
  return ['/usr/sbin', '/usr/bin', '/usr/local/sbin'].some((folder) => existsSync(join(folder, program)));
}

/** Prints the saturated rates; gives back each contender's, requests per second. */
async function saturate(scenario: Scenario, contenders: readonly Contender[], options: Options) {
  const results = new Map<Contender, LoadResult[]>(contenders.map((contender) => [contender, []]));
  for (let round = 0; round < options.rounds; round++) {
    for (const contender of contenders) {
      const load = { seconds: options.seconds, warmUpSeconds: 1 };
      results.get(contender)?.push(await runLoad(scenario, contender, load));
    }
  }
  const rates = new Map(contenders.map((contender) => [contender, medianOf(results, contender, (r) => r.perSecond)]));
  const [bare] = contenders;
  const ofBare = (contender: Contender, pick: (result: LoadResult) => number) =>
    short(pairedRatio((results.get(contender) ?? []).map(pick), (results.get(bare as Contender) ?? []).map(pick)));
  console.log(`${scenario.title}, closed loop, ${CONNECTIONS} connections`);
  printTable(
    [
      'server',
      'requests/s',
      'of bare node:http',
      'server CPU us/request',
      'of bare, by CPU',
      'generator CPU',
      'failed',
      'answered by',
    ],
    contenders.map((contender) => [
      contender.name,
      short(rates.get(contender) ?? Number.NaN),
      ofBare(contender, (r) => r.perSecond),
      short(medianOf(results, contender, (r) => r.serverCpuUs)),
      ofBare(contender, (r) => 1 / r.serverCpuUs),
      `${Math.round(100 * medianOf(results, contender, (r) => r.generatorCpu))} %`,
      medianOf(results, contender, (r) => r.failed),
      sourcesOf(results.get(contender)?.at(-1)),
    ]),
  );
  return rates;
}

async function openLoop(
  scenario: Scenario,
  contenders: readonly Contender[],
  saturated: ReadonlyMap<Contender, number>,
  options: Options,
): Promise<void> {
  const disturbance = await bundle('bench/support/disturbance.ts', 'disturbance');
  const quiet = new Map<Contender, LoadResult[]>(contenders.map((contender) => [contender, []]));
  const disturbed = new Map<Contender, LoadResult[]>(contenders.map((contender) => [contender, []]));
  for (let round = 0; round < options.rounds; round++) {
    for (const contender of contenders) {
      const rate = (saturated.get(contender) ?? 0) * OPEN_LOOP_SHARE;
      const load = { seconds: options.seconds, warmUpSeconds: 1, rate };
      quiet.get(contender)?.push(await runLoad(scenario, contender, load));
      const args = [
        disturbance,
        `${contender.port}`,
        ...(contender.redisUrl === undefined ? [] : [contender.redisUrl]),
      ];
      const background = startProcess(process.execPath, args, { core: OTHER_CORE, isBackground: true });
      try {
        await untilItSays('ready', background);
        disturbed.get(contender)?.push(await runLoad(scenario, contender, load));
      } finally {
        await background.stop();
      }
    }
  }
  console.log(`${scenario.title}, open loop at ${OPEN_LOOP_SHARE * 100} % of its own saturated rate, latency in ms`);
  const row = (contender: Contender, when: string, results: ReadonlyMap<Contender, readonly LoadResult[]>) => [
    `${contender.name}, ${when}`,
    short((saturated.get(contender) ?? Number.NaN) * OPEN_LOOP_SHARE),
    short(medianOf(results, contender, (r) => r.latency.p50)),
    ...[(r: LoadResult) => r.latency.p99, (r: LoadResult) => r.latency.p999].flatMap((pick) => [
      short(medianOf(results, contender, pick)),
      short(quietest(results.get(contender) ?? [], pick)),
    ]),
    short(medianOf(results, contender, (r) => r.generatorLag)),
    medianOf(results, contender, (r) => r.failed),
  ];
  printTable(
    [
      'server',
      'requests/s',
      'p50',
      'p99',
      'p99, quietest quarter',
      'p99.9',
      'p99.9, quietest quarter',
      'generator late, p99',
      'failed',
    ],
    contenders.flatMap((contender) => [row(contender, 'quiet', quiet), row(contender, 'fills and purges', disturbed)]),
  );
}

/** The first quartile over all slices. */
function quietest(results: readonly LoadResult[], pick: (result: LoadResult) => number): number {
  return quantile(results.map(pick), 0.25);
}

let nextFirstKey = 1_000_000;

async function runLoad(
  { kind, keys }: Scenario,
  { pid, port }: Contender,
  how: Pick<Load, 'seconds' | 'warmUpSeconds' | 'rate'>,
): Promise<LoadResult> {
  nextFirstKey += 1_000_000;
  const load: Load = { ...how, port, kind, keys, firstKey: nextFirstKey, connections: CONNECTIONS, serverPid: pid };
  const generator = await bundle('bench/support/load.ts', 'load');
  return JSON.parse(await outputOf(process.execPath, [generator, JSON.stringify(load)], { core: OTHER_CORE }));
}

function medianOf(
  results: ReadonlyMap<Contender, readonly LoadResult[]>,
  contender: Contender,
  pick: (result: LoadResult) => number,
): number {
  return median((results.get(contender) ?? []).map(pick));
}

function sourcesOf(result: LoadResult | undefined): string {
  const counts = Object.entries(result?.sources ?? {});
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  return counts.map(([source, count]) => `${source} ${Math.round((100 * count) / total)} %`).join(', ');
}

runBenchmark(main);
