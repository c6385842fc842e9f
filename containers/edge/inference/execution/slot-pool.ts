import type { Job } from './job';
import type { ModelQueue } from './model-queue';

/** What a first run is taken to cost, ms, until it has been seen. */
const UNKNOWN_COST_MS = 1;

/**
 * Time of short runs that a slot is given ahead, ms: they follow one another without a turn of the event loop or a trip
 * to the worker in between, which would take as long as they do.
 */
const AHEAD_MS = 1;

/** A queue among those that compete for a pool's slots. */
export interface Flow {
  readonly queue: ModelQueue;
  readonly pool: SlotPool;
  /** Virtual time from which on the flow's next run is due, ms of slot time. */
  start: number;
  /** Whether it has jobs that wait. */
  isBacklogged: boolean;
}

/** A run under way. */
export interface Run {
  readonly flow: Flow;
  readonly jobs: readonly Job[];
  readonly rows: number;
  readonly elements: number;
  /** What it was taken to cost when it began, ms. */
  readonly chargedMs: number;
  readonly beganAt: number;
  /** Time that joining the inputs of its jobs took, ms. */
  joinMs: number;
}

/**
 * Slots that several models share, and whose turn it is: start-time fair queueing with as many runs at once as there
 * are slots (SFQ(D), Jin, Chase and Kaur, "Interposed Proportional Sharing for a Storage Service Utility", SIGMETRICS
 * 2004). Every run moves its model's place back by the time it takes; the model whose place is first runs next. So
 * models that have work share the slots' time evenly, however long the runs of one take, and one that comes back
 * after a pause is served soon but gets nothing for having paused. Costs are charged as expected when a run begins
 * and put right when it has ended.
 */
export class SlotPool {
  readonly flows: Flow[] = [];
  /** Whether a look for work has been put off to the end of this turn of the event loop. */
  isDeferred = false;
  busy = 0;
  #slots = 1;
  #backlogged = 0;
  #virtualTime = 0;
  /** What the runs under way are taken to cost, ms. */
  #chargedMs = 0;
  #busyMs = 0;
  #busySince = 0;

  join(queue: ModelQueue): Flow {
    return { queue, pool: this, start: 0, isBacklogged: false };
  }

  get slots(): number {
    return this.#slots;
  }

  /** A flow has got jobs; it takes its place among the others, if it had none. */
  backlogged(flow: Flow): void {
    this.#slots = Math.max(1, flow.queue.session.slots);
    if (flow.isBacklogged) return;
    flow.isBacklogged = true;
    flow.start = Math.max(flow.start, this.#virtualTime);
    this.flows.push(flow);
    this.#backlogged += 1;
  }

  /** The flow whose turn it is. */
  next(): Flow | undefined {
    let first: Flow | undefined;
    for (const flow of this.flows) if (first === undefined || flow.start < first.start) first = flow;
    return first;
  }

  /** Whether a flow's next run can begin now. */
  hasRoomFor({ queue }: Flow): boolean {
    return this.busy < this.#slots || this.#chargedMs + queue.soloMs <= this.#slots * AHEAD_MS;
  }

  /** Free slots that a flow may count on for itself. */
  shareOfSlots(): number {
    return Math.max(1, Math.floor((this.slots - this.busy) / this.#backlogged));
  }

  /** A flow has no jobs left. */
  drained(flow: Flow): void {
    flow.isBacklogged = false;
    this.flows.splice(this.flows.indexOf(flow), 1);
    this.#backlogged -= 1;
  }

  begin(flow: Flow, jobs: readonly Job[], now: number): Run {
    let [rows, elements] = [0, 0];
    for (const job of jobs) {
      rows += job.rows;
      elements += job.elements;
    }
    const { cost } = flow.queue;
    const chargedMs = cost.isKnown ? cost.predictMs(elements) : UNKNOWN_COST_MS;
    this.#virtualTime = Math.max(this.#virtualTime, flow.start);
    flow.start += chargedMs;
    this.#countBusy(now);
    this.busy += 1;
    this.#chargedMs += chargedMs;
    return { flow, jobs, rows, elements, chargedMs, beganAt: now, joinMs: 0 };
  }

  end({ flow, chargedMs }: Run, costMs: number, now: number): void {
    flow.start += costMs - chargedMs;
    this.#countBusy(now);
    this.busy -= 1;
    // Sums of floats drift.
    this.#chargedMs = this.busy === 0 ? 0 : this.#chargedMs - chargedMs;
  }

  get isIdle(): boolean {
    return this.busy === 0 && this.#backlogged === 0;
  }

  /** Slot time used since the last call, ms; divided by time and slots it is the pool's utilisation. */
  takeBusyMs(now: number): number {
    this.#countBusy(now);
    const busyMs = this.#busyMs;
    this.#busyMs = 0;
    return busyMs;
  }

  #countBusy(now: number): void {
    this.#busyMs += Math.min(this.busy, this.#slots) * (now - this.#busySince);
    this.#busySince = now;
  }
}
