/**
 * What a worker process costs a run: the same model on the service's own thread, in a worker, and the same bytes there
 * and back over Node's own IPC with nothing run; contenders take turns round by round.
 * `npm run bench:workers -- --models ../shared/models --seconds 1 --rounds 5`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { InlineHost } from '../containers/edge/inference/execution/inline-host';
import { QUARANTINE_LIMITS } from '../containers/edge/inference/execution/quarantine';
import type { ModelFile } from '../containers/edge/inference/execution/types';
import { WorkerHost } from '../containers/edge/inference/execution/worker-host';
import type { Tensor } from '../containers/edge/inference/tensors';
import { bundle } from './support/bundle';
import { type Effort, positive, runBenchmark } from './support/options';
import { median, printTable, short } from './support/report';

const MODEL = 'digits_mlp';
const WIDTH = 64;
/** The last is 1 MiB of input. */
const ROWS = [1, 128, 4096];
/** `sysconf(_SC_CLK_TCK)` of every Linux that Node runs on. */
const TICK_US = 10_000;
const LIMITS = { runMs: 60_000, graceMs: 1_000, loadMs: 60_000 };
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

type Contender = (input: Tensor) => Promise<unknown>;

/** Per run, microseconds. */
interface Turn {
  readonly p50: number;
  readonly p99: number;
  readonly ownCpu: number;
  readonly otherCpu: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { models: { type: 'string' }, seconds: { type: 'string' }, rounds: { type: 'string' } },
  });
  const effort = {
    seconds: positive('--seconds', values.seconds, 1),
    rounds: positive('--rounds', values.rounds, 5),
  };
  const file = modelFile(values.models ?? '../shared/models');
  const inline = await new InlineHost().open(file);
  const program = await bundle('containers/edge/worker.ts', 'worker');
  const host = new WorkerHost({
    workers: 1,
    command: { program: process.execPath, args: ['--expose-gc', program] },
    limits: LIMITS,
    quarantine: QUARANTINE_LIMITS,
    idleMs: 60_000,
    log: silent,
  });
  const worker = await host.open(file);
  const ipc = await startIpcEcho();
  const contenders = new Map<string, Contender>([
    ['own thread', (input) => inline.run([input])],
    ['worker', (input) => worker.run([input])],
    ['IPC, nothing run', ipc.echo],
  ]);
  const rows = [];
  for (const batch of ROWS) rows.push(...(await measure(batch, contenders, effort)));
  printTable(['rows', 'where', 'p50 us', 'p99 us', 'CPU us here', 'CPU us there'], rows);
  ipc.child.kill();
  await host.close();
}

function modelFile(models: string): ModelFile {
  const path = join(models, MODEL, '1', 'model.onnx');
  return { model: MODEL, version: '1', path, sha256: createHash('sha256').update(readFileSync(path)).digest('hex') };
}

/** A process that sends back what it is sent, by Node's IPC with structured clone. */
async function startIpcEcho(): Promise<{ child: ChildProcess; echo: Contender }> {
  const program = "process.on('message', (message) => process.send(message)); process.send('ready')";
  const child = spawn(process.execPath, ['-e', program], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  await once(child, 'message');
  const echo: Contender = (input) => {
    const answer = once(child, 'message');
    child.send(input);
    return answer;
  };
  return { child, echo };
}

async function measure(
  batch: number,
  contenders: ReadonlyMap<string, Contender>,
  { seconds, rounds }: Effort,
): Promise<string[][]> {
  const shape = [batch, WIDTH];
  const input: Tensor = { name: 'pixels', datatype: 'FP32', shape, data: new Float32Array(batch * WIDTH).fill(1) };
  const turns = new Map<string, Turn[]>([...contenders.keys()].map((name) => [name, []]));
  for (let round = -1; round < rounds; round += 1) {
    for (const [name, contender] of contenders) {
      // The first round warms up.
      const turn = await takeTurn(contender, input, round < 0 ? Math.min(seconds, 0.3) : seconds);
      if (round >= 0) turns.get(name)?.push(turn);
    }
  }
  return [...turns].map(([name, list]) => {
    const of = (pick: (turn: Turn) => number) => short(median(list.map(pick)));
    return [String(batch), name, of((t) => t.p50), of((t) => t.p99), of((t) => t.ownCpu), of((t) => t.otherCpu)];
  });
}

async function takeTurn(contender: Contender, input: Tensor, seconds: number): Promise<Turn> {
  const times: number[] = [];
  const ownBefore = process.cpuUsage();
  const otherBefore = childrenCpuUs();
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const began = performance.now();
    await contender(input);
    times.push((performance.now() - began) * 1000);
  }
  const { user, system } = process.cpuUsage(ownBefore);
  times.sort((a, b) => a - b);
  const quantile = (share: number) => times[Math.floor(share * (times.length - 1))] ?? Number.NaN;
  return {
    p50: quantile(0.5),
    p99: quantile(0.99),
    ownCpu: (user + system) / times.length,
    otherCpu: (childrenCpuUs() - otherBefore) / times.length,
  };
}

/** CPU time of this process's children so far, from proc(5): fields 4 (parent), 14 and 15 (ticks) of `stat`. */
function childrenCpuUs(): number {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return ids.reduce((sum, id) => {
    try {
      const stat = readFileSync(`/proc/${id}/stat`, 'utf8');
      const fields = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number);
      return fields[1] === process.pid ? sum + ((fields[11] ?? 0) + (fields[12] ?? 0)) * TICK_US : sum;
    } catch {
      return sum;
    }
  }, 0);
}

runBenchmark(main);
