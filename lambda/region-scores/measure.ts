import { isCurrent, type RegionReading, type RoutingTable } from '../../lib/core/routing-table';
import { RegionStatus } from '../../lib/core/task-report';

/** Share of a new measurement in what is published; the rest is what stood there. Halves a jump in one run. */
const NEW_SHARE = 0.5;

/** A region's status as its function answers it. Rejects when it cannot be had. */
export type ReadStatus = (region: string) => Promise<unknown>;

/** Measures every region at once. One whose status cannot be had is `unknown`; the reason goes to the log. */
export function measureRegions(regions: readonly string[], readStatus: ReadStatus): Promise<RegionReading[]> {
  return Promise.all(
    regions.map(async (region) => {
      try {
        return readingOf(region, RegionStatus.parse(await readStatus(region)));
      } catch (error) {
        console.error(JSON.stringify({ event: 'region-unknown', region, reason: String(error) }));
        return { region, state: 'unknown' as const, load: 0, hitRate: 0 };
      }
    }),
  );
}

/** A region is healthy while a task serves: its load and hit rate are the means of those that do. */
function readingOf(region: string, { tasks }: RegionStatus): RegionReading {
  const known = tasks.flatMap(({ traffic }) => (traffic ? [traffic] : []));
  if (tasks.length > 0 && known.length === 0) return { region, state: 'unknown', load: 0, hitRate: 0 };
  const serving = known.filter((traffic) => traffic.serving);
  if (serving.length === 0) return { region, state: 'unhealthy', load: 0, hitRate: 0 };
  const mean = (value: (traffic: (typeof serving)[number]) => number) =>
    serving.reduce((sum, traffic) => sum + value(traffic), 0) / serving.length;
  return { region, state: 'healthy', load: mean(({ load }) => load), hitRate: mean(({ hitRate }) => hitRate) };
}

/**
 * The table that follows `previous` after a measurement. What an operator drained stays drained; loads and hit rates move
 * only part of the way, so that regions which shed viewers to each other settle instead of swinging.
 */
export function nextTable(
  previous: RoutingTable,
  measured: readonly RegionReading[],
  nowSeconds: number,
): RoutingTable {
  const before = new Map(previous.regions.map((row) => [row.region, row]));
  const usable = isCurrent(previous, nowSeconds);
  return {
    measuredAt: Math.floor(nowSeconds),
    regions: measured.map((now) => {
      const old = before.get(now.region);
      if (old?.state === 'drained') return old;
      if (!usable || old?.state !== 'healthy' || now.state !== 'healthy') return now;
      const damped = (from: number, to: number) => from + (to - from) * NEW_SHARE;
      return { ...now, load: damped(old.load, now.load), hitRate: damped(old.hitRate, now.hitRate) };
    }),
  };
}
