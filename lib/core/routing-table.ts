import type { RegionState } from './routing-score';

/**
 * The state of all regions as one value of CloudFront's KeyValueStore, which holds at most 1 KB: the time at which it was
 * measured in whole seconds since 1970, then one row a region. `1795510000 eu-west-1h5,80 us-east-1d` says that eu-west-1
 * is healthy with a load of 5 % and a hit rate of 80 %, and that us-east-1 is drained. Thirty-four regions take 816 bytes.
 *
 * Read in the CloudFront Function, so without destructuring, spread and `for-of`.
 */

/** Key of the table in the KeyValueStore. */
export const ROUTING_TABLE_KEY = 'routing';

/** Age at which the table is not believed any more: five runs of the function that measures, s. */
export const ROUTING_TABLE_MAX_AGE_SECONDS = 300;

/** What is known of one region. */
export interface RegionReading {
  readonly region: string;
  readonly state: RegionState;
  /** 0 to 1. */
  readonly load: number;
  /** 0 to 1. */
  readonly hitRate: number;
}

/** What is known of all regions. */
export interface RoutingTable {
  /** Whole seconds since 1970; 0 before the first measurement. */
  readonly measuredAt: number;
  readonly regions: readonly RegionReading[];
}

const LETTERS: { readonly [letter: string]: RegionState } = {
  h: 'healthy',
  u: 'unhealthy',
  d: 'drained',
  x: 'unknown',
};

const ROW = /^([a-z]+(?:-[a-z]+)+-\d)([hudx])(?:(\d+),(\d+))?$/;

function percent(share: number): number {
  return Math.round(Math.min(1, Math.max(0, share)) * 100);
}

/** Writes a table; only healthy regions keep their numbers, to the percent. */
export function encodeRoutingTable(table: RoutingTable): string {
  const rows = table.regions.map((row) => {
    const letter = Object.keys(LETTERS).filter((candidate) => LETTERS[candidate] === row.state)[0];
    const numbers = row.state === 'healthy' ? `${percent(row.load)},${percent(row.hitRate)}` : '';
    return `${row.region}${letter}${numbers}`;
  });
  return [String(table.measuredAt)].concat(rows).join(' ');
}

/** Reads a table; `undefined` when the text is not one, whatever part of it. */
export function decodeRoutingTable(text: string): RoutingTable | undefined {
  const parts = text.split(' ');
  if (!/^\d{1,12}$/.test(parts[0] || '')) return undefined;
  const regions: RegionReading[] = [];
  for (let i = 1; i < parts.length; i++) {
    const found = ROW.exec(parts[i] || '');
    const state = found ? LETTERS[found[2] || ''] : undefined;
    if (!found?.[1] || state === undefined) return undefined;
    if ((state === 'healthy') !== (found[3] !== undefined)) return undefined;
    regions.push({
      region: found[1],
      state,
      load: Number(found[3] || 0) / 100,
      hitRate: Number(found[4] || 0) / 100,
    });
  }
  return { measuredAt: Number(parts[0]), regions };
}

/** Whether a table is recent enough to route by. One from the future is of a clock that cannot be trusted. */
export function isCurrent(table: RoutingTable, nowSeconds: number): boolean {
  return Math.abs(nowSeconds - table.measuredAt) <= ROUTING_TABLE_MAX_AGE_SECONDS;
}
