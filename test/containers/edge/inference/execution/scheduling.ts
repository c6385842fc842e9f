import { type Demand, demandOf } from '../../../../../containers/edge/inference/execution/demand';
import type { ModelQueue } from '../../../../../containers/edge/inference/execution/model-queue';
import { Scheduler } from '../../../../../containers/edge/inference/execution/scheduler';
import { FakeSession, type FakeSessionOptions, rowOf, VirtualClock } from './virtual-time';

export const always = demandOf(undefined);
export let clock: VirtualClock;
export let scheduler: Scheduler;

/** Gives every test of a file a scheduler and a clock of its own. */
export function eachWithItsOwnScheduler(): void {
  beforeEach(() => {
    clock = new VirtualClock();
    scheduler = new Scheduler(clock);
  });
}

export function session(options: Partial<FakeSessionOptions> = {}): FakeSession {
  return new FakeSession({ clock, costMs: (rows) => 1 + 0.1 * rows, ...options });
}

/** What became of a request: the first element of each of its outputs, or the error's code. */
export function outcome(
  queue: ModelQueue,
  values: readonly number[],
  rows = 1,
  demand: Demand = always,
): { value: unknown } {
  const seen: { value: unknown } = { value: 'pending' };
  scheduler.run(queue, [rowOf(values, rows)], demand).then(
    ([output]) => {
      seen.value = [...((output?.data as Float32Array) ?? [])];
    },
    (error: { code?: string }) => {
      seen.value = error.code;
    },
  );
  return seen;
}

/** Runs one request, so that the model's cost is known. */
export async function warm(queue: ModelQueue): Promise<void> {
  outcome(queue, [0]);
  await clock.run();
}

export const idsOf = (fake: FakeSession) => fake.runs.map(({ ids }) => ids);
