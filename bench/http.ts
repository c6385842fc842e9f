/**
 * The edge service over HTTP against a bare node:http server with the same answers, nginx and Varnish: each alone on
 * one core, taking turns; load, Redis and origin on another. First a closed loop to saturation, then an open loop at
 * 70 % of what each one itself answers at that moment, quiet and with large fills and a purge storm in the background.
 *
 * A shared machine slows down and stalls for seconds at a time. So the contenders take turns in short slices, rates
 * and CPU time are compared within a round, and latency is also told for the quietest quarter of the slices: what a
 * server does to its requests is in every slice, what the machine does to them is not.
 *
 *   npm run models && npm run bench:http -- --seconds 2 --rounds 12 --only "GET object"
 *
 * Linux with taskset; nginx, varnishd and, with wrk, the open loop are left out when they are not installed.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle } from './support/bundle';
import {
  type Contender,
  OTHER_CORE,
  startBareReader,
  startBareServer,
  startEdgeService,
  startProxy,
} from './support/contenders';
import { HTTP_SCENARIOS, type Scenario } from './support/http-scenarios';
import type { Load, LoadResult } from './support/load';
import { type OpenLoadResult, openLoad } from './support/open-loop';
import { positive, runBenchmark } from './support/options';
import { freePort, outputOf, startProcess, untilItSays, untilListening } from './support/processes';
import { median, pairedRatio, printTable, quantile, short } from './support/report';

interface Options {
  readonly seconds: number;
  readonly rounds: number;
  readonly only: string;
}

const CONNECTIONS = 64;
const OPEN_LOOP_SHARE = 0.7;
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
    for (const scenario of HTTP_SCENARIOS.filter(({ title }) => title.includes(options.only))) {
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
    // What the round trip to Redis costs by itself. Its turn comes last, when L1 holds every object.
    if (scenario.answeredBy === 'l1' && scenario.kind === 'get object')
      contenders.push(await startBareReader(edge, scenario.kind));
    for (const name of scenario.proxies ? (['nginx', 'varnish'] as const) : []) {
      if (isInstalled(name)) contenders.push(await startProxy(name, originPort));
    }
    await saturate(scenario, contenders, options);
    if (!scenario.openLoop) return;
    if (isInstalled('wrk')) await openLoop(scenario, contenders, options);
    else console.log('The open loop is left out: wrk is not installed.');
  } finally {
    for (const contender of contenders) await contender.stop();
  }
}

function isInstalled(name: 'nginx' | 'varnish' | 'wrk'): boolean {
  const program = name === 'varnish' ? 'varnishd' : name;
  return ['/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin'].some((folder) =>
    existsSync(join(folder, program)),
  );
}

async function saturate(scenario: Scenario, contenders: readonly Contender[], options: Options): Promise<void> {
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
}

/** One round of a contender: at `rate` alone, and with the background going on. */
interface OpenRound {
  readonly rate: number;
  readonly quiet: OpenLoadResult;
  readonly disturbed: OpenLoadResult;
}

async function openLoop(scenario: Scenario, contenders: readonly Contender[], options: Options): Promise<void> {
  const rounds = new Map<Contender, OpenRound[]>(contenders.map((contender) => [contender, []]));
  for (let round = 0; round < options.rounds; round++) {
    for (const contender of contenders)
      rounds.get(contender)?.push(await openRound(scenario, contender, round, options));
  }
  console.log(
    `${scenario.title}, open loop at ${OPEN_LOOP_SHARE * 100} % of what it answered in a closed loop just before, latency in ms`,
  );
  printTable(
    [
      'server',
      'requests/s',
      'server CPU',
      'p50',
      'p99',
      'p99, quietest quarter',
      'p99.9',
      'p99.9, quietest quarter',
      'generator CPU',
      'sent late',
      'failed',
    ],
    contenders.flatMap((contender) => {
      const of = rounds.get(contender) ?? [];
      return [openRow(`${contender.name}, quiet`, of, 'quiet'), openRow('  fills and purges', of, 'disturbed')];
    }),
  );
  console.log('With fills and purges, of quiet in the same round:');
  printTable(
    ['server', 'p99', 'p99.9'],
    contenders.map((contender) => {
      const of = rounds.get(contender) ?? [];
      const ratio = (pick: (result: OpenLoadResult) => number) =>
        short(
          pairedRatio(
            of.map(({ disturbed }) => pick(disturbed)),
            of.map(({ quiet }) => pick(quiet)),
          ),
        );
      return [contender.name, ratio((r) => r.p99), ratio((r) => r.p999)];
    }),
  );
}

async function openRound(scenario: Scenario, contender: Contender, round: number, { seconds }: Options) {
  const { perSecond } = await runLoad(scenario, contender, { seconds: 1, warmUpSeconds: 0.5 });
  const rate = Math.round(perSecond * OPEN_LOOP_SHARE);
  const load = {
    port: contender.port,
    kind: scenario.kind,
    keys: scenario.keys,
    rate,
    seconds: Math.ceil(seconds),
    seed: round,
    core: OTHER_CORE,
    serverPid: contender.pid,
  };
  const quiet = await openLoad(load);
  const words = [`${contender.port}`, ...(contender.redisUrl === undefined ? [] : [contender.redisUrl])];
  const program = await bundle('bench/support/disturbance.ts', 'disturbance');
  const background = startProcess(process.execPath, [program, ...words], { core: OTHER_CORE, isBackground: true });
  try {
    await untilItSays('ready', background);
    return { rate, quiet, disturbed: await openLoad(load) };
  } finally {
    await background.stop();
  }
}

function openRow(title: string, rounds: readonly OpenRound[], when: 'quiet' | 'disturbed'): (string | number)[] {
  const results = rounds.map((round) => round[when]);
  const typical = (pick: (result: OpenLoadResult) => number) => median(results.map(pick));
  const share = (pick: (result: OpenLoadResult) => number) => `${short(100 * typical(pick))} %`;
  return [
    title,
    short(median(rounds.map(({ rate }) => rate))),
    share((r) => r.serverCpu),
    short(typical((r) => r.p50)),
    ...[(r: OpenLoadResult) => r.p99, (r: OpenLoadResult) => r.p999].flatMap((pick) => [
      short(typical(pick)),
      short(quantile(results.map(pick), 0.25)),
    ]),
    share((r) => r.generatorCpu),
    share((r) => r.late / r.requests),
    typical((r) => r.failed),
  ];
}

let nextFirstKey = 1_000_000;

async function runLoad(
  { kind, keys }: Scenario,
  { pid, port }: Contender,
  how: Pick<Load, 'seconds' | 'warmUpSeconds'>,
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
