import type { GoldenSample } from '../../../lib/core/manifest';
import { messageOf, ServiceError } from '../errors';
import type { RunnableSession, RunResult } from './execution/types';
import { WorkerDeath } from './execution/worker-process';
import { RefusedModel } from './refused-model';
import { elementsOf, fromTensorValue, type Tensor } from './tensors';
import { syntheticInputs } from './trial-inputs';

/** Longest time for one run of a trial, ms: what takes longer is no model to answer requests. */
const RUN_LIMIT_MS = 30_000;
/** Time after which no further kind of input is looked for, ms. */
const SEARCH_LIMIT_MS = 10_000;
/** Inputs that are kept to warm the model up and to measure it. */
const KEPT_INPUTS = 3;

/** Runs of one measurement: enough that its 99th percentile is not simply the slowest. */
const WINDOW_RUNS = 100;
/** Runs of a measurement that a host makes at once: the service, which serves meanwhile, is asked that much less. */
const RUNS_AT_ONCE = 20;
/** Time after which a host makes no further one at once, ms: others may wait for the same worker. */
const AT_ONCE_LIMIT_MS = 10;
const LEAST_RUNS = 50;

/** How long is measured. */
interface Measurement {
  readonly windows: number;
  /** Time after which it ends with what it has, ms, once a window has `LEAST_RUNS`. */
  readonly limitMs: number;
}

const MEASUREMENT: Measurement = { windows: 3, limitMs: 250 };
/** Of a model most of whose runs are short enough: what made the others long may be the machine. */
const PROMISING: Measurement = { windows: 10, limitMs: 1_000 };
/** Time after which it ends anyhow, ms. */
const SLOW_LIMIT_MS = 1_500;
const PERCENTILE = 0.99;

/** A run for trial: rejects as `RunnableSession.run`, after 30 s at the latest. */
export function trialRun(session: RunnableSession, inputs: readonly Tensor[]): ReturnType<RunnableSession['run']> {
  return session.run(inputs, { deadline: performance.now() + RUN_LIMIT_MS });
}

/**
 * Finds inputs that the model runs with: those of its golden samples, which must run, or synthetic ones. Throws
 * `RefusedModel` when nothing runs, or when no run gave a single finite number where numbers are due.
 */
export async function findInputs(session: RunnableSession, golden: readonly GoldenSample[]): Promise<Tensor[][]> {
  const finite = new FiniteNumbers();
  const given = golden.slice(0, KEPT_INPUTS).map((sample) => sample.inputs.map(fromTensorValue));
  for (const inputs of given) finite.look((await trialRun(session, inputs)).outputs);
  const found = given.length > 0 ? given : await searchInputs(session, finite);
  if (finite.areMissing) {
    throw new RefusedModel(`all ${finite.seen} numbers that the model gave in trials are NaN or infinite`);
  }
  return found;
}

/** Zeros may be an input that a model rightly refuses (an audio window of one sample): one kind of input must run. */
async function searchInputs(session: RunnableSession, finite: FiniteNumbers): Promise<Tensor[][]> {
  const until = performance.now() + SEARCH_LIMIT_MS;
  const found: Tensor[][] = [];
  let firstFailure: unknown;
  for (const inputs of syntheticInputs(session.inputs)) {
    if (found.length === KEPT_INPUTS || performance.now() > until) break;
    try {
      finite.look((await trialRun(session, inputs)).outputs);
      found.push(inputs);
    } catch (error) {
      if (!isModelsAnswer(error)) throw error;
      firstFailure ??= error;
    }
  }
  if (found.length > 0) return found;
  throw new RefusedModel(
    `the model runs with no input that was tried; give golden samples if it needs a particular one. ` +
      `The first failed: ${messageOf(firstFailure)}`,
    { cause: firstFailure },
  );
}

/** Whether the model itself refused an input, as opposed to taking its worker with it or never coming to an end. */
function isModelsAnswer(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'inference_failed' && !(error.cause instanceof WorkerDeath);
}

/** Whether a model's floating-point outputs ever hold a number; one that gives only NaN would pass any other gate. */
class FiniteNumbers {
  seen = 0;
  #finite = 0;

  look(outputs: readonly Tensor[]): void {
    for (const output of outputs) {
      if (!output.datatype.startsWith('FP')) continue;
      for (const value of Array.from<string | number | bigint>(elementsOf(output))) {
        this.seen += 1;
        if (Number.isFinite(Number(value))) this.#finite += 1;
      }
    }
  }

  get areMissing(): boolean {
    return this.seen > 0 && this.#finite === 0;
  }
}

/**
 * Warms the model up by running it again and again, and gives the 99th percentile of the time that it takes inside ONNX
 * Runtime, ms, leaving out that for which the machine did something else: of the CPU time where that is known, and of the
 * quietest of several measurements.
 * @param enoughBelow a value below which no further measurement is wanted, ms
 */
export async function measureWarm(
  session: RunnableSession,
  inputs: readonly (readonly Tensor[])[],
  enoughBelow: number,
): Promise<number> {
  const began = performance.now();
  // The first run of each shape pays for what ONNX Runtime allocates lazily.
  for (const each of inputs) await trialRun(session, each);
  let quietest = Number.POSITIVE_INFINITY;
  let measurement = MEASUREMENT;
  for (let window = 0; window < measurement.windows && quietest >= enoughBelow; window += 1) {
    const times: number[] = [];
    let kind = 0;
    while (times.length < WINDOW_RUNS) {
      const elapsed = performance.now() - began;
      if (elapsed > SLOW_LIMIT_MS || (elapsed > measurement.limitMs && times.length >= LEAST_RUNS)) break;
      const runs = Math.min(RUNS_AT_ONCE, WINDOW_RUNS - times.length);
      times.push(...(await timesOf(session, inputs[kind % inputs.length] ?? [], runs)));
      kind += 1;
    }
    if (times.length >= LEAST_RUNS) quietest = Math.min(quietest, percentileOf(times, PERCENTILE));
    if (percentileOf(times, 0.5) < enoughBelow) measurement = PROMISING;
    if (performance.now() - began > measurement.limitMs) break;
  }
  return quietest;
}

/** The own times of some runs, ms: `runs` at most, and one at least. */
async function timesOf(session: RunnableSession, inputs: readonly Tensor[], runs: number): Promise<readonly number[]> {
  const repeat = { runs, limitMs: AT_ONCE_LIMIT_MS };
  const result = await session.run(inputs, { deadline: performance.now() + RUN_LIMIT_MS, repeat });
  return result.eachMs ?? [ownTime(result)];
}

/** Never above the time inside ONNX Runtime, as the CPU time of all threads of a process may be. */
function ownTime({ computeMs, cpuMs = computeMs }: RunResult): number {
  return Math.min(computeMs, cpuMs);
}

function percentileOf(times: number[], share: number): number {
  times.sort((a, b) => a - b);
  return times[Math.ceil(times.length * share) - 1] ?? Number.POSITIVE_INFINITY;
}
