/**
 * Swaps two versions of a model in a running edge service once a second, under load, by the load requests of the model
 * repository extension, and compares every answer with what the version that it names gives. Intervals without swaps,
 * with swaps between versions in memory, and with swaps to a version that is prepared anew each time take turns, so that
 * their latencies can be compared.
 *
 *   npm run models && npm run bench:hot-swap -- --seconds 60 --rate 500
 *
 * `--model` is a folder with the versions 1 and 2 of a model with one FP32 input [-1, N].
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startEdgeProcess } from './support/edge-process';
import { HttpConnection } from './support/http-connection';
import { seededRandom } from './support/keys';
import { positive, runBenchmark } from './support/options';
import { median, printTable, short } from './support/report';
import { type SwapCase, swapCases } from './support/swap-cases';
import { beginWindow, emptyTally, type IntervalTally, openLoop } from './support/swap-traffic';

const CONNECTIONS = 64;
const VERSIONS: readonly string[] = ['1', '2'];
const INTERVAL_MS = 5_000;
const SWAP_EVERY_MS = 1_000;
const KINDS = ['no swaps', 'swap in memory', 'swap to a version prepared anew'] as const;
type Kind = (typeof KINDS)[number];

const CASES = 20_000;
/** Cases that half of all requests ask for: memory answers them, and an activation must not let it answer wrongly. */
const HOT_CASES = 500;
/** So small a memory tier that the other half always asks the model. */
const MEMORY_BYTES = 1024 * 1024;

/** Answers of which a 99th percentile tells something. */
const LEAST_ANSWERS = 50;

interface Options {
  readonly seconds: number;
  readonly rate: number;
  readonly folder: string;
}

async function main(): Promise<void> {
  const { seconds, rate, folder } = readOptions();
  const model = basename(folder);
  const cases = await swapCases(
    model,
    new Map(VERSIONS.map((each) => [each, join(folder, each, 'model.onnx')])),
    CASES,
  );
  const models = mkdtempSync(join(tmpdir(), 'mlcdn-bench-swap-'));
  for (const version of VERSIONS) {
    mkdirSync(join(models, model, version), { recursive: true });
    cpSync(join(folder, version, 'model.onnx'), join(models, model, version, 'model.onnx'));
  }
  const service = await startEdgeProcess({ env: { MODELS_DIR: models, MEMORY_CACHE_MAX_BYTES: `${MEMORY_BYTES}` } });
  try {
    await report(await measure({ port: service.port, model, cases, seconds, rate }));
  } finally {
    await service.stop();
    rmSync(models, { recursive: true, force: true });
  }
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: { seconds: { type: 'string' }, rate: { type: 'string' }, model: { type: 'string' } },
  });
  const folder = resolve(values.model ?? join('.build', 'models', 'ranker'));
  for (const version of VERSIONS) {
    const file = join(folder, version, 'model.onnx');
    if (!existsSync(file)) throw new Error(`--model ${folder}: there is no ${file}; npm run models makes the ranker's`);
  }
  return { seconds: positive('--seconds', values.seconds, 60), rate: positive('--rate', values.rate, 500), folder };
}

interface Measurement {
  readonly port: number;
  readonly model: string;
  readonly cases: readonly SwapCase[];
  readonly seconds: number;
  readonly rate: number;
}

interface Outcome {
  readonly tallies: ReadonlyMap<Kind, IntervalTally>;
  readonly swaps: ReadonlyMap<Kind, number>;
}

async function measure({ port, model, cases, seconds, rate }: Measurement): Promise<Outcome> {
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => connected(port)));
  const next = drawer(cases);
  await openLoop(connections, next, { rate, seconds: 3 }, emptyTally);

  const tallies = new Map(KINDS.map((kind) => [kind, emptyTally()]));
  const swaps = new Map<Kind, number>();
  let kind: Kind = KINDS[0];
  const traffic = openLoop(connections, next, { rate, seconds }, () => tallies.get(kind) ?? emptyTally());
  let ended = false;
  // A client's own machinery (fetch) would take its time from the answers that are measured.
  const controller = await connected(port);
  const swapping = (async () => {
    const began = performance.now();
    let live = VERSIONS.at(-1) ?? '';
    for (let turn = 1; !ended; turn += 1) {
      kind = KINDS[Math.floor((performance.now() - began) / INTERVAL_MS) % KINDS.length] ?? KINDS[0];
      beginWindow(tallies.get(kind) ?? emptyTally());
      if (kind !== 'no swaps') {
        const other = VERSIONS.find((version) => version !== live) ?? '';
        if (kind === KINDS[2]) await control(controller, model, 'unload', other);
        await control(controller, model, 'load', other);
        live = other;
        swaps.set(kind, (swaps.get(kind) ?? 0) + 1);
      }
      await sleep(Math.max(0, began + turn * SWAP_EVERY_MS - performance.now()));
    }
  })();
  await traffic;
  ended = true;
  await swapping;
  for (const connection of [controller, ...connections]) connection.close();
  return { tallies, swaps };
}

/** Half of the requests out of a few cases, half going through all the others in turn. */
function drawer(cases: readonly SwapCase[]): () => SwapCase {
  const random = seededRandom(2);
  const [fallback] = cases;
  if (fallback === undefined) throw new Error('there are no cases');
  let at = HOT_CASES;
  return () => {
    if (random() < 0.5) return cases[Math.floor(random() * HOT_CASES)] ?? fallback;
    at = at + 1 < cases.length ? at + 1 : HOT_CASES;
    return cases[at] ?? fallback;
  };
}

function connected(port: number): Promise<HttpConnection> {
  return new Promise((resolvePromise, reject) => {
    const connection = new HttpConnection(
      port,
      () => resolvePromise(connection),
      (reason) => {
        reject(new Error(reason));
        // After the connection was there, only this tells.
        process.stderr.write(`a connection broke: ${reason}\n`);
        process.exitCode = 1;
      },
    );
  });
}

function control(connection: HttpConnection, model: string, verb: 'load' | 'unload', version: string): Promise<void> {
  const body = JSON.stringify({ parameters: { version } });
  const head = `POST /v2/repository/models/${model}/${verb} HTTP/1.1\r\nhost: bench\r\ncontent-length: ${body.length}\r\n\r\n`;
  return new Promise((done, failed) => {
    connection.send(Buffer.from(head + body), (answer) => {
      if (answer.status === 200) done();
      else failed(new Error(`${verb} of version ${version}: ${answer.body()}`));
    });
  });
}

async function report({ tallies, swaps }: Outcome): Promise<void> {
  const ms = (us: number) => short(us / 1000);
  const quiet = windowP99(tallies.get(KINDS[0]) ?? emptyTally());
  const rows = [...tallies].map(([kind, tally]) => {
    const versions = [...tally.versions].sort().map(([version, count]) => `${version}: ${count}`);
    const quantiles = [50, 99, 99.9].map((share) => ms(tally.latency.getValueAtPercentile(share)));
    const counts = [swaps.get(kind) ?? 0, tally.answered, versions.join(', '), tally.failed, tally.mixed];
    const ofSeconds = windowP99(tally);
    return [kind, ...counts, ...quantiles, ms(ofSeconds), short(ofSeconds / quiet)];
  });
  const counted = ['swaps', 'answers', 'by version', 'failed', 'mixed'];
  const measured = ['p50 ms', 'p99 ms', 'p99.9 ms', 'p99 of a second, median, ms', 'of quiet'];
  printTable(['intervals', ...counted, ...measured], rows);
  const faulty = [...tallies.values()].find(({ firstFault }) => firstFault !== undefined);
  if (faulty !== undefined) throw new Error(`not every answer was right: ${faulty.firstFault}`);
}

/** Median over the seconds of their 99th percentiles, us: seconds in which the machine itself stalls are outvoted. */
function windowP99({ windows }: IntervalTally): number {
  const full = windows.filter(({ totalCount }) => totalCount >= LEAST_ANSWERS);
  return median(full.map((window) => window.getValueAtPercentile(99)));
}

runBenchmark(main);
