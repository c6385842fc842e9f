import { ServiceError } from '../../../../../containers/edge/errors';
import { ModelQueue } from '../../../../../containers/edge/inference/execution/model-queue';
import { QUEUE_LIMITS, type QueueLimits } from '../../../../../containers/edge/inference/execution/queue-limits';
import type { SchedulerClock } from '../../../../../containers/edge/inference/execution/scheduler-clock';
import type { RunnableSession, RunOptions, RunResult } from '../../../../../containers/edge/inference/execution/types';
import { ModelStatistics } from '../../../../../containers/edge/inference/model-statistics';
import type { Tensor } from '../../../../../containers/edge/inference/tensors';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** Time that passes only when nothing is left to do now. */
export class VirtualClock implements SchedulerClock {
  utilisation = 0;
  /** Called when nothing is left to do at this time. */
  onStill: () => void = () => undefined;
  #now = 0;
  #order = 0;
  #events: Event[] = [];

  now(): number {
    return this.#now;
  }

  wallClock(): number {
    return 1_700_000_000_000 + this.#now;
  }

  /** The turn ends before time goes on, and after everything that happens at this time. */
  endOfTurn(callback: () => void): void {
    this.after(0, callback);
  }

  after(ms: number, callback: () => void): void {
    this.#order += 1;
    this.#events.push({ at: this.#now + ms, order: this.#order, run: callback });
  }

  loopUtilisation(): number {
    return this.utilisation;
  }

  /** Lets time go on until `until`, ms, or by default until nothing is left to happen. */
  async run(until = Number.POSITIVE_INFINITY): Promise<void> {
    for (;;) {
      await settled();
      const next = this.#events.reduce<Event | undefined>(
        (first, event) =>
          first === undefined || event.at < first.at || (event.at === first.at && event.order < first.order)
            ? event
            : first,
        undefined,
      );
      if (next === undefined || next.at > this.#now) this.onStill();
      if (next === undefined || next.at > until) break;
      this.#events.splice(this.#events.indexOf(next), 1);
      this.#now = next.at;
      next.run();
    }
    if (until !== Number.POSITIVE_INFINITY) this.#now = until;
  }
}

/** Resolves when every promise that could be settled has been. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A row of numbers; the first of them tells it from others. */
export function rowOf(values: readonly number[], rows = 1): Tensor {
  return { name: 'x', datatype: 'FP32', shape: [rows, values.length / rows], data: Float32Array.from(values) };
}

export interface FakeSessionOptions {
  readonly clock: VirtualClock;
  readonly slots?: number;
  readonly pool?: object;
  /** Runs that may be under way at once; as many as slots by default. */
  readonly mostAtOnce?: number;
  /** Time of a run of `rows` rows, ms. */
  readonly costMs: (rows: number) => number;
  /** Whether a run with these first elements of its rows fails. */
  readonly fails?: (ids: readonly number[]) => boolean;
}

/** Doubles every element, in virtual time; refuses more runs at once than it has slots for. */
export class FakeSession implements RunnableSession {
  readonly inputs = [{ name: 'x', datatype: 'FP32' as const, shape: [-1, -1] }];
  readonly outputs = [{ name: 'y', datatype: 'FP32' as const, shape: [-1, -1] }];
  readonly slots: number;
  readonly pool?: object;
  /** First elements of the rows of each run, with when it began. */
  readonly runs: { readonly at: number; readonly ids: readonly number[]; readonly options: RunOptions }[] = [];
  readonly #options: FakeSessionOptions;
  running = 0;

  constructor(options: FakeSessionOptions) {
    this.#options = options;
    this.slots = options.slots ?? 1;
    if (options.pool !== undefined) this.pool = options.pool;
  }

  run([input]: readonly Tensor[], options: RunOptions = {}): Promise<RunResult> {
    if (input === undefined) throw new Error('a run needs an input');
    const { clock, costMs, fails = () => false } = this.#options;
    const rows = input.shape[0] ?? 0;
    const width = input.shape[1] ?? 0;
    const data = input.data as Float32Array;
    if (data.length !== rows * width) throw new Error(`${data.length} elements are not [${input.shape}]`);
    const ids = Array.from({ length: rows }, (_, row) => data[row * width] ?? Number.NaN);
    this.runs.push({ at: clock.now(), ids, options });
    this.running += 1;
    if (this.running > (this.#options.mostAtOnce ?? this.slots)) throw new Error(`${this.running} runs at once`);
    return new Promise((resolve, reject) => {
      clock.after(costMs(rows), () => {
        this.running -= 1;
        if (fails(ids)) {
          reject(new ServiceError('inference_failed', `bad row among ${ids}`));
          return;
        }
        const doubled = data.map((value) => 2 * value);
        const output: Tensor = { name: 'y', datatype: 'FP32', shape: input.shape, data: doubled };
        resolve({ outputs: [output], computeMs: costMs(rows) });
      });
    });
  }

  release(): Promise<void> {
    return Promise.resolve();
  }
}

/** A queue in front of a session; rows may be run together unless `batchable` is false. */
export function queueFor(session: RunnableSession, limits: Partial<QueueLimits> = {}, batchable = true): ModelQueue {
  return new ModelQueue({
    label: 'model fake version 1',
    session,
    batchable,
    limits: { ...QUEUE_LIMITS, ...limits },
    statistics: new ModelStatistics(),
  });
}
