import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { cpuTimeOf, outputOf } from './processes';
import { type RequestKind, requestBytes } from './requests';

/** Requests that are due at their own times, whatever the server does. */
export interface OpenLoad {
  readonly port: number;
  readonly kind: RequestKind;
  /** Distinct requests, drawn uniformly. */
  readonly keys: number;
  /** Requests per second, a Poisson process. */
  readonly rate: number;
  readonly seconds: number;
  /** Of the due times and of the draw. */
  readonly seed: number;
  /** Where the generator runs. */
  readonly core: number;
  /** Process whose CPU time is measured, with its children. */
  readonly serverPid: number;
}

/** What the script prints. */
const Printed = z.object({
  requests: z.number(),
  /** Statuses of 400 and more, answers that took over ten seconds, connections that broke. */
  failed: z.number(),
  /** Latency in ms, from when a request was sent. */
  p50: z.number(),
  p99: z.number(),
  p999: z.number(),
  /** Requests sent over a millisecond after they were due, since every connection waited for an answer. */
  late: z.number(),
  /** How long after, at the most, ms. */
  latest: z.number(),
  /** CPU time of the generator, seconds. */
  generatorSeconds: z.number(),
});

/** What an open loop saw. */
export interface OpenLoadResult extends z.infer<typeof Printed> {
  /** Share of a core that the server and its children used. */
  readonly serverCpu: number;
  /** Share of its core that the generator used. */
  readonly generatorCpu: number;
}

/**
 * So many that one is free whenever a request is due, unless a server stalls for 10 ms at 25,000 requests a second; for
 * longer stalls wrk adds the answers that would have been late. More of them cost wrk more than the requests do.
 */
const CONNECTIONS = 256;
/** The script lets so long pass before the first request is due, for the connections to be made. */
const LEAD_SECONDS = 1;
const SCRIPT = join('bench', 'support', 'open-loop.lua');

/**
 * Runs wrk with `open-loop.lua`, where it is said how requests come to be due. wrk needs a tenth of the core at rates
 * that saturate a generator in Node, where answers then wait to be looked at.
 *
 * @throws Error with wrk's words when it fails
 */
export async function openLoad(load: OpenLoad): Promise<OpenLoadResult> {
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${load.seconds + LEAD_SECONDS}s`, '--timeout', '10s', '-s', SCRIPT];
  const url = `http://127.0.0.1:${load.port}/`;
  const ofScript = [requestsFile(load), `${load.rate}`, `${load.seed}`, `${LEAD_SECONDS * 1_000}`];
  const before = cpuTimeOf(load.serverPid).all;
  const output = await outputOf('wrk', [...args, url, '--', ...ofScript], { core: load.core });
  const printed = /^RESULT (.*)$/m.exec(output)?.[1];
  if (printed === undefined) throw new Error(`wrk: must print its result, not ${output}`);
  const seen = Printed.parse(JSON.parse(printed));
  return {
    ...seen,
    serverCpu: (cpuTimeOf(load.serverPid).all - before) / load.seconds,
    generatorCpu: seen.generatorSeconds / load.seconds,
  };
}

/** A Lua program that returns the requests; JSON of ASCII text is a string of Lua. */
function requestsFile({ kind, keys }: OpenLoad): string {
  const file = join('.build', 'bench', `${kind.replaceAll(' ', '-')}-${keys}.lua`);
  const requests = Array.from({ length: keys }, (_, n) => JSON.stringify(requestBytes(kind, n).toString('latin1')));
  writeFileSync(file, `return {\n${requests.join(',\n')}\n}\n`);
  return file;
}
