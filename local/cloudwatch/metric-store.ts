/** Which time series; dimensions in any order. A metric is known by all of its dimensions, as in CloudWatch. */
export interface MetricId {
  readonly region: string;
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: Readonly<Record<string, string>>;
}

/** Values with how often each occurred. */
export interface ValueCounts {
  readonly values: readonly number[];
  readonly counts: readonly number[];
}

/** `Sum`, `Average`, `Minimum`, `Maximum`, `SampleCount`, or a percentile `p0` to `p100`. */
export type Statistic = string;

const MINUTE_MS = 60_000;

/** Values of one minute. */
interface Minute {
  count: number;
  sum: number;
  min: number;
  max: number;
  /** How often each value occurred, where a percentile is asked for. */
  readonly values: Map<number, number> | undefined;
}

interface Series {
  keepMs: number;
  keepsValues: boolean;
  /** By the number of the minute since 1970. */
  readonly minutes: Map<number, Minute>;
}

/** @throws Error for a statistic that is not run here */
export function requireStatistic(statistic: Statistic): void {
  if (['Sum', 'Average', 'Minimum', 'Maximum', 'SampleCount'].includes(statistic) || percentOf(statistic) !== undefined)
    return;
  throw new Error(
    `statistic ${statistic} is not run here; these are: Sum, Average, Minimum, Maximum, SampleCount, p0 to p100`,
  );
}

/**
 * CloudWatch's memory of metrics, minute by minute. Only what an alarm watches is kept, and no longer than it looks back,
 * so that a machine that runs for days does not fill with numbers that nobody asks for. Values of distributions are
 * rounded to three digits.
 */
export class MetricStore {
  private readonly series = new Map<string, Series>();

  /** @param now ms since 1970 */
  constructor(private readonly now: () => number = Date.now) {}

  /** Keeps a metric from now on for so long, ms; with its distribution where the statistic is a percentile. */
  watch(id: MetricId, statistic: Statistic, keepMs: number): void {
    const key = keyOf(id);
    const series = this.series.get(key) ?? { keepMs: 0, keepsValues: false, minutes: new Map<number, Minute>() };
    series.keepMs = Math.max(series.keepMs, keepMs);
    series.keepsValues ||= percentOf(statistic) !== undefined;
    this.series.set(key, series);
  }

  /** @param at when it was measured, ms since 1970; now unless told */
  put(id: MetricId, { values, counts }: ValueCounts, at = this.now()): void {
    const series = this.series.get(keyOf(id));
    if (!series) return;
    const number = Math.floor(at / MINUTE_MS);
    let minute = series.minutes.get(number);
    if (!minute) {
      minute = { count: 0, sum: 0, min: Infinity, max: -Infinity, values: series.keepsValues ? new Map() : undefined };
      series.minutes.set(number, minute);
      const oldest = number - Math.ceil(series.keepMs / MINUTE_MS);
      for (const old of series.minutes.keys()) if (old < oldest) series.minutes.delete(old);
    }
    for (const [index, value] of values.entries()) {
      const count = counts[index] ?? 0;
      if (count <= 0) continue;
      minute.count += count;
      minute.sum += value * count;
      minute.min = Math.min(minute.min, value);
      minute.max = Math.max(minute.max, value);
      const rounded = Number(value.toPrecision(3));
      minute.values?.set(rounded, (minute.values.get(rounded) ?? 0) + count);
    }
  }

  /**
   * A statistic over `[from, to)`, ms since 1970, in whole minutes; `undefined` when there is no value in it.
   * @throws Error for a statistic that is not run here
   */
  statistic(id: MetricId, statistic: Statistic, from: number, to: number): number | undefined {
    requireStatistic(statistic);
    const series = this.series.get(keyOf(id));
    const minutes: Minute[] = [];
    for (let number = Math.floor(from / MINUTE_MS); number < Math.floor(to / MINUTE_MS); number += 1) {
      const minute = series?.minutes.get(number);
      if (minute && minute.count > 0) minutes.push(minute);
    }
    if (minutes.length === 0) return undefined;
    const total = (value: (minute: Minute) => number) => minutes.reduce((sum, minute) => sum + value(minute), 0);
    const count = total((minute) => minute.count);
    switch (statistic) {
      case 'Sum':
        return total(({ sum }) => sum);
      case 'Average':
        return total(({ sum }) => sum) / count;
      case 'SampleCount':
        return count;
      case 'Minimum':
        return Math.min(...minutes.map(({ min }) => min));
      case 'Maximum':
        return Math.max(...minutes.map(({ max }) => max));
      default:
        return percentile(minutes, percentOf(statistic) ?? 100);
    }
  }
}

/** Smallest value that at least this share of all values do not exceed (nearest rank). */
function percentile(minutes: readonly Minute[], percent: number): number | undefined {
  const values = minutes.flatMap((minute) => [...(minute.values ?? [])]).sort(([a], [b]) => a - b);
  const total = values.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [value, count] of values) {
    seen += count;
    if (seen >= (total * percent) / 100) return value;
  }
  return undefined;
}

function percentOf(statistic: Statistic): number | undefined {
  const [, percent] = /^p(\d{1,3}(?:\.\d+)?)$/.exec(statistic) ?? [];
  return percent !== undefined && Number(percent) <= 100 ? Number(percent) : undefined;
}

function keyOf({ region, namespace, name, dimensions }: MetricId): string {
  const sorted = Object.entries(dimensions).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([region, namespace, name, sorted]);
}
