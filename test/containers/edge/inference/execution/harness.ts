import { createHash } from 'node:crypto';
import { constants, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelFile } from '../../../../../containers/edge/inference/execution/types';
import { WorkerHost, type WorkerHostConfig } from '../../../../../containers/edge/inference/execution/worker-host';
import type { Tensor } from '../../../../../containers/edge/inference/tensors';
import { testWorkerCommand } from '../../../../support/model-workers';
import { descendantsOf } from '../../../../support/processes';
import { powerModel, tinyModel } from '../../../../support/tiny-models';

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

const directory = mkdtempSync(join(tmpdir(), 'mlcdn-execution-'));
const hosts = new Set<WorkerHost>();

afterEach(async () => {
  await Promise.all([...hosts].map((host) => host.close()));
  hosts.clear();
});
afterAll(() => rmSync(directory, { recursive: true }));

/** A host of real worker processes that is closed after the test. */
export function startHost(workers: number, changes: Partial<WorkerHostConfig> = {}): WorkerHost {
  const host = new WorkerHost({
    workers,
    command: testWorkerCommand(),
    limits: LIMITS,
    quarantine: { strikes: 3, windowMs: 60_000, firstMs: 60_000, longestMs: 60_000 },
    idleMs: 60_000,
    log: SILENT,
    ...changes,
  });
  hosts.add(host);
  return host;
}

/** Limits that no test reaches but those that shorten one. */
export const LIMITS: WorkerHostConfig['limits'] = { runMs: 60_000, graceMs: 60_000, loadMs: 60_000 };

/** A path in the test's own directory. */
export function pathOf(name: string): string {
  return join(directory, name);
}

/** Writes a model file. */
export function modelFile(model: string, onnx: Uint8Array): ModelFile {
  const path = pathOf(`${model}.onnx`);
  writeFileSync(path, onnx);
  return { model, version: '1', path, sha256: createHash('sha256').update(onnx).digest('hex') };
}

/** A model that answers at once. */
export const tiny = () => modelFile('tiny', tinyModel(2));

/** A model that works the longer, the larger its matrix. */
export const power = () => modelFile('power', powerModel(300));

/** A row for `tinyModel`. */
export function row(...data: [number, number, number]): Tensor {
  return { name: 'features', datatype: 'FP32', shape: [1, 3], data: Float32Array.from(data) };
}

/** A matrix for `powerModel`. */
export function matrix(size: number): Tensor {
  return { name: 'x', datatype: 'FP32', shape: [size, size], data: new Float32Array(size * size) };
}

/** For `power`: a minute on the fastest machine, so longer than any test waits. */
export const ENDLESS = matrix(2_500);

/** Process ids of the workers of this process. */
export async function workerPids(): Promise<number[]> {
  const all = await descendantsOf(process.pid);
  return all.filter(({ command }) => command.includes('worker.js')).map(({ pid }) => pid);
}

/** Ends every worker of the test, as the kernel or a crash would. */
export async function kill(signal: NodeJS.Signals): Promise<void> {
  for (const pid of await workerPids()) process.kill(pid, signal);
}

/** As `kill`, once a worker has its run: it has worked for longer than reading one takes. */
export async function killRunning(signal: NodeJS.Signals): Promise<void> {
  const pids = await workerPids();
  const before = new Map(pids.map((pid) => [pid, cpuTicks(pid)]));
  await until(() => pids.some((pid) => cpuTicks(pid) >= (before.get(pid) ?? 0) + 20));
  await kill(signal);
}

/** CPU time of a process, hundredths of a second; 0 when it is gone. */
function cpuTicks(pid: number): number {
  const path = `/proc/${pid}/stat`;
  const fields = existsSync(path) ? readFileSync(path, 'latin1').split(') ')[1]?.split(' ') : undefined;
  return fields === undefined ? 0 : Number(fields[11]) + Number(fields[12]);
}

/** A FIFO can be opened for writing, without waiting, once somebody reads it. */
export function openForWriting(fifo: string): number | undefined {
  try {
    return openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}

/** Waits until something is as it should be, asking again whenever the event loop has turned. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
