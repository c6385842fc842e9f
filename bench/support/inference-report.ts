import type { InferKind } from './infer-requests';
import { printTable, short } from './report';

/** What is asked, and how many ask at once. */
export interface Scenario {
  readonly kind: InferKind;
  readonly connections: number;
}

/** Medians over the rounds of one server in one scenario. */
export interface ServerFigures {
  readonly server: string;
  readonly perSecond: number;
  /** CPU of the server and its worker processes per request, microseconds. */
  readonly serverCpuUs: number;
  /** What of that its worker processes used. */
  readonly workersCpuUs: number;
  /** Requests per second, of bare node:http's in the same round. */
  readonly ofNodeHttp: number;
  /** Rows per second, of those of bare `session.run` with batches of as many rows in the same round. */
  readonly ofSession: number;
  /**
   * Rows per second, of those of bare node:http and then bare `session.run` on the one core that they share: what is in
   * reach of a server that adds nothing to either. More than 1 where requests are run together.
   */
  readonly ofBoth: number;
  /** Round trips, ms. */
  readonly p50: number;
  readonly p99: number;
  /** In all rounds. */
  readonly failed: number;
}

/** One scenario: bare node:http, the service without micro-batching and with it, in this order. */
export interface Measured {
  readonly scenario: Scenario;
  readonly servers: readonly ServerFigures[];
}

/** Share of bare node:http that single misses are to reach, and of bare `session.run` that large binary batches are. */
const SINGLE_GOAL = 0.6;
const BATCH_GOAL = 0.7;
const LARGE_BATCH_ROWS = 32;

/** Everything, a row for each server in each scenario. */
export function printThroughput(model: string, measured: readonly Measured[]): void {
  console.log(`${model}, all misses, closed loop`);
  const head = [
    'rows, form, at once',
    'server',
    'requests/s',
    'predictions/s',
    'of bare node:http',
    'of bare session.run',
    'of both, one after the other',
    'CPU us/request',
    'of it workers',
    'p50 ms',
    'p99 ms',
    'failed',
  ];
  const rows = measured.flatMap((each) =>
    each.servers.map((figures) => [
      nameOf(each.scenario),
      figures.server,
      short(figures.perSecond),
      short(figures.perSecond * each.scenario.kind.rows),
      short(figures.ofNodeHttp),
      short(figures.ofSession),
      short(figures.ofBoth),
      short(figures.serverCpuUs),
      short(figures.workersCpuUs),
      short(figures.p50),
      short(figures.p99),
      String(figures.failed),
    ]),
  );
  printTable(head, rows);
}

/** One request at a time, which has nobody to be batched with: micro-batching must cost it nothing. */
export function printAlone(model: string, measured: readonly Measured[]): void {
  console.log(`${model}, one request alone, round trip p50 in ms`);
  const rows = measured
    .filter(({ scenario }) => scenario.connections === 1)
    .map(({ scenario, servers }) => {
      const [, without, batching] = servers.map(({ p50 }) => p50);
      return [nameOf(scenario), short(without ?? Number.NaN), short(batching ?? Number.NaN), ratio(batching, without)];
    });
  printTable(['rows, form, at once', 'without micro-batching', 'with', 'with / without'], rows);
}

/** The goals, and what of them is reached. */
export function printGoals(model: string, measured: readonly Measured[]): void {
  console.log(`${model}, goals`);
  const rows = measured.flatMap((each) => {
    const { kind, connections } = each.scenario;
    const figures = each.servers.at(-1);
    if (figures === undefined || connections === 1) return [];
    if (kind.rows === 1) return [goalRow(each.scenario, 'bare node:http', SINGLE_GOAL, figures.ofNodeHttp)];
    if (kind.rows < LARGE_BATCH_ROWS || kind.form !== 'infer binary') return [];
    return [goalRow(each.scenario, 'bare session.run', BATCH_GOAL, figures.ofSession)];
  });
  printTable(['rows, form, at once', 'of', 'goal', 'measured', 'reached'], rows);
}

function goalRow(scenario: Scenario, of: string, goal: number, share: number): string[] {
  return [nameOf(scenario), of, `${goal}`, short(share), share >= goal ? 'yes' : 'no'];
}

/** What a scenario is called in every table: rows, form, requests at once. */
export function nameOf({ kind, connections }: Scenario): string {
  return `${kind.rows}, ${kind.form}, ${connections}`;
}

function ratio(value = Number.NaN, base = Number.NaN): string {
  return short(value / base);
}
