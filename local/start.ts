import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningLocalCdn, startLocalCdn } from './compose';
import { runDemo } from './demo/run-demo';
import { regionDistances } from './engine/distances';
import { checkFirstPrediction, firstModel, publishFirstModel } from './first-model';
import { openGeo } from './geo/viewer-places';
import { parseStartOptions, type StartOptions } from './options';
import { claimState, releaseState, STATE_DIR, StartError, writeConnection } from './state';
import { localAssembly } from './synthesis';

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function timed<T>(what: string, work: () => Promise<T>, note: (result: T) => string = () => ''): Promise<T> {
  const start = performance.now();
  const result = await work();
  say(`  ${what}${note(result)}  ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return result;
}

/** @throws StartError when the port cannot be listened on; found out before anything is started. */
async function requireFreePort(port: number): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is in use' : `cannot be listened on (${error.code})`;
      reject(new StartError(`port ${port} ${why}; choose another with: npm start -- --port ${port + 1}`));
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve()));
  });
}

async function waitUntilHealthy(url: string, stopping: AbortSignal): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const status = await fetch(`${url}/health`).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200) return;
    if (Date.now() > deadline)
      throw new StartError(`GET ${url}/health did not answer 200 within a minute; see ${STATE_DIR}/logs.`);
    await sleep(100, undefined, { signal: stopping });
  }
}

function examples(url: string, row: readonly number[]): string {
  const features = row.join(',');
  return [
    `mlcdn is ready: ${url}`,
    '',
    'Try (x-viewer-ip places you elsewhere; 1.21.10.10 is in Japan, 2.7.10.10 in France):',
    `  curl -s ${url}/predict -H 'content-type: application/json' -d '{"features":[${features}]}'`,
    `  curl -si '${url}/predict?model=ranker&features=${features}' -H 'x-viewer-ip: 1.21.10.10'`,
    `  curl -s ${url}/v2/models/ranker`,
    `  curl -sI ${url}/models/ranker/1/model.onnx`,
    '  npx mlcdn status',
    '  npx mlcdn publish .build/models/ranker/2/model.onnx --name ranker --version 2 --golden .build/models/ranker/2/golden.json',
    '  npx mlcdn invalidate --model ranker --wait',
    '',
    `Logs are in ${join(STATE_DIR, 'logs')}. Ctrl-C stops everything.`,
  ].join('\n');
}

async function start(
  options: StartOptions,
  stopping: AbortSignal,
  started: (cdn: RunningLocalCdn) => void,
): Promise<void> {
  say(`Starting the CDN in ${options.regions.join(', ')} (distances between places are simulated delays)`);
  await requireFreePort(options.port);
  mkdirSync(join(STATE_DIR, 'logs'), { recursive: true });
  const model = await timed(
    'model ranker trained',
    () => firstModel(),
    ({ reused }) => (reused ? ' (earlier)' : ''),
  );
  const assembly = await timed(
    'templates synthesized',
    () => localAssembly(options.regions, stopping),
    ({ reused }) => (reused ? ' (unchanged)' : ''),
  );
  stopping.throwIfAborted();
  let resources = 0;
  const cdn = await timed(
    'resources started',
    () => {
      const logFile = createWriteStream(join(STATE_DIR, 'runner.log'));
      return startLocalCdn({
        assemblyDir: assembly.directory,
        regions: options.regions,
        port: options.port,
        log: (line) => logFile.write(`${line}\n`),
        onProgress: (_, total) => {
          resources = total;
        },
      });
    },
    () => ` (${resources})`,
  );
  started(cdn);
  stopping.throwIfAborted();
  await timed('healthy in every region', () => waitUntilHealthy(cdn.url, stopping));
  const environment = cdn.awsEnvironment(cdn.homeRegion);
  const connection = {
    url: cdn.url,
    account: cdn.account,
    homeRegion: cdn.homeRegion,
    regions: [...options.regions],
    environment,
    pid: process.pid,
  };
  writeConnection(connection);
  await timed('ranker 1 published to every region', () => publishFirstModel(model, stopping));
  await checkFirstPrediction(cdn.url, model);
  // Since the process started, so the installation of what was missing is in it.
  say(`First correct prediction ${(performance.now() / 1000).toFixed(1)} s after npm start`);
  stopping.throwIfAborted();
  if (options.demo) {
    const demonstration = runDemo({
      url: cdn.url,
      homeUrl: cdn.loadBalancerUrl(cdn.homeRegion),
      homeHeaders: cdn.originHeaders(),
      homeRegion: cdn.homeRegion,
      geo: await openGeo({ homeRegion: cdn.homeRegion }),
      distances: regionDistances,
      rows: model.rows,
      bytes: () => cdn.cloudFront.bytes(),
      print: say,
    });
    await Promise.race([demonstration, once(stopping, 'abort')]);
    stopping.throwIfAborted();
  }
  process.stdout.write(`${examples(cdn.url, model.rows[0] ?? [])}\n`);
}

/** Error codes along the chain of causes: a step wraps what went wrong below it. */
function codesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const { code } = error as NodeJS.ErrnoException;
  return [...(code === undefined ? [] : [code]), ...codesOf(error.cause)];
}

/** One sentence for what a person can mend, the stack for what they cannot. */
function explain(error: unknown): string {
  if (error instanceof StartError) return error.message;
  if (codesOf(error).includes('ENOSPC')) return `the disk is full; free some space under ${STATE_DIR} and start again.`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Runs until Ctrl-C; then stops everything in reverse. A second Ctrl-C does not cut that short. */
async function main(): Promise<void> {
  const options = parseStartOptions(process.argv.slice(2));
  // A closed terminal or pipe must not keep us from stopping what runs.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const stopping = new AbortController();
  const stopped = new Promise<void>((resolve) =>
    stopping.signal.addEventListener('abort', () => resolve(), { once: true }),
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort());

  let cdn: RunningLocalCdn | undefined;
  let exitCode = 0;
  let claimed = false;
  try {
    claimState();
    claimed = true;
    await start(options, stopping.signal, (running) => {
      cdn = running;
    });
    await stopped;
  } catch (error) {
    if (!stopping.signal.aborted) {
      exitCode = 1;
      say(`mlcdn: ${explain(error)}`);
    }
  }
  if (cdn) say('stopping ...');
  await cdn?.stop().catch((error: unknown) => {
    exitCode = 1;
    say(`mlcdn: while stopping: ${explain(error)}`);
  });
  if (claimed) releaseState();
  process.exit(exitCode);
}

void main();
