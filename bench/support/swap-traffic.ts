import { build, type Histogram } from 'hdr-histogram-js';
import type { Answer, HttpConnection } from './http-connection';
import { matches, type SwapCase } from './swap-cases';

/** Longest that answers are waited for after the last request was due, ms: past it, intervals would tell nothing apart. */
const PATIENCE_MS = 2_500;

/** What one kind of interval gave. */
export interface IntervalTally {
  /** From when a request was due until its answer was here, us. */
  readonly latency: Histogram;
  /** The same by `window`, in order. */
  readonly windows: Histogram[];
  readonly versions: Map<string, number>;
  answered: number;
  /** Answers with another status than 200. */
  failed: number;
  /** Answers that are not what the version they name gives. */
  mixed: number;
  /** What the first failed or mixed answer said. */
  firstFault: string | undefined;
}

/** A tally of nothing. */
export function emptyTally(): IntervalTally {
  return {
    latency: emptyHistogram(),
    windows: [emptyHistogram()],
    versions: new Map(),
    answered: 0,
    failed: 0,
    mixed: 0,
    firstFault: undefined,
  };
}

/** Counts what is due from now on by itself as well. */
export function beginWindow({ windows }: IntervalTally): void {
  windows.push(emptyHistogram());
}

/**
 * Sends requests in an open loop: each is due at a fixed time whatever the server does, and its latency counts from
 * there, also while it waits for a free connection. An answer is counted where `tally` points when its request is due.
 */
export async function openLoop(
  connections: readonly HttpConnection[],
  cases: () => SwapCase,
  { rate, seconds }: { readonly rate: number; readonly seconds: number },
  tally: () => IntervalTally,
): Promise<void> {
  const idle = [...connections];
  const began = performance.now();
  const total = Math.floor(rate * seconds);
  let sent = 0;
  let answered = 0;
  while (answered < total) {
    const now = performance.now();
    if (now > began + seconds * 1000 + PATIENCE_MS) {
      throw new Error(
        `${total - answered} of ${total} requests were not answered ${PATIENCE_MS / 1000} s after the last was due: lower --rate`,
      );
    }
    while (sent < total && began + (sent * 1000) / rate <= now) {
      const connection = idle.pop();
      if (connection === undefined) break;
      const due = began + (sent * 1000) / rate;
      const [each, into] = [cases(), tally()];
      const window = into.windows.at(-1);
      sent += 1;
      connection.send(each.request, (answer) => {
        const us = Math.max(1, Math.round((performance.now() - due) * 1000));
        into.latency.recordValue(us);
        window?.recordValue(us);
        count(into, each, answer);
        answered += 1;
        idle.push(connection);
      });
    }
    // Timers are too coarse for the next due time.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function emptyHistogram(): Histogram {
  return build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 });
}

function count(tally: IntervalTally, each: SwapCase, answer: Answer): void {
  tally.answered += 1;
  const body = answer.body();
  if (answer.status !== 200) {
    tally.failed += 1;
    tally.firstFault ??= body;
    return;
  }
  const { model_version: version, outputs } = JSON.parse(body) as {
    model_version: string;
    outputs: { name: string; data: number[] }[];
  };
  tally.versions.set(version, (tally.versions.get(version) ?? 0) + 1);
  if (matches(each, version, outputs)) return;
  tally.mixed += 1;
  tally.firstFault ??= `as version ${version}: ${body.slice(0, 300)}`;
}
