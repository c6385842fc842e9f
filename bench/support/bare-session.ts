/**
 * The ceiling of a model: `session.run` alone, one batch after another. `node bare-session.cjs JSON` with a `BareRuns`,
 * prints `{"rowsPerSecond", "cpuUs"}` (CPU microseconds a row).
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { InferKind } from './infer-requests';

/** What is to be run. */
export interface BareRuns extends Pick<InferKind, 'input' | 'datatype' | 'shape' | 'rows'> {
  readonly path: string;
  readonly seconds: number;
}

async function main(): Promise<void> {
  const { path, seconds, input, datatype, shape, rows }: BareRuns = JSON.parse(process.argv[2] ?? '{}');
  const session = await InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const dims = [rows, ...shape.slice(1)];
  const count = dims.reduce((product, axis) => product * axis, 1);
  const run = () => {
    const data = datatype === 'FP32' ? new Float32Array(count).fill(0.25) : new Int32Array(count).fill(32);
    return session.run({ [input]: new Tensor(datatype === 'FP32' ? 'float32' : 'int32', data as Float32Array, dims) });
  };
  const runFor = async (ms: number) => {
    const began = performance.now();
    const cpu = process.cpuUsage();
    let runs = 0;
    for (; performance.now() - began < ms || runs === 0; runs += 1) await run();
    const { user, system } = process.cpuUsage(cpu);
    const done = runs * rows;
    return { rowsPerSecond: (done * 1000) / (performance.now() - began), cpuUs: (user + system) / done };
  };
  await runFor(300);
  process.stdout.write(JSON.stringify(await runFor(seconds * 1000)));
}

void main();
