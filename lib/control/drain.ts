import { updateRoutingTable } from '../aws/routing-table-store';
import type { RoutingTable } from '../core/routing-table';
import { ControlError, UsageError } from './errors';
import { readHealthCheck, setDrained } from './health-check';
import { storeOf } from './live-version';
import type { ControlPlane, OnProgress } from './plane';
import { readRegionStatus } from './region-tasks';

/**
 * Time until DNS has followed: resolvers keep an alias to a load balancer for 60 s (Route 53 developer guide, "Choosing
 * between alias and non-alias records"); as much again is our margin for Route 53's servers to take up the changed check.
 */
const DNS_SECONDS = 120;

/** Which region is taken out of service or back in. */
export interface DrainRequest {
  readonly region: string;
  /** Drains even the last region that serves. */
  readonly force?: boolean;
}

/** What was done, and what is left to serve. */
export interface DrainResult {
  readonly region: string;
  readonly drained: boolean;
  /** DNS: the region's health check. */
  readonly dns: { readonly healthCheckId: string; readonly changed: boolean };
  /** The table by which the viewer-request function chooses. */
  readonly scores: { readonly changed: boolean };
  /** Seconds until no resolver leads there any more, or every one may again; 0 when DNS had nothing to follow. */
  readonly effectiveWithinSeconds: number;
  /** Other regions that are not drained and have a task that serves. */
  readonly others: readonly string[];
}

/**
 * Takes a region out: new requests go to the others, those under way are answered. Repeating it changes nothing. It holds
 * until `undrainRegion`, whatever the region's health.
 * @throws UsageError for a region that the environment does not have; ControlError when no other region would serve
 */
export async function drainRegion(
  { region, force = false }: DrainRequest,
  plane: ControlPlane,
  onProgress: OnProgress = () => {},
): Promise<DrainResult> {
  requireRegion(plane, region);
  const others = await servingRegions(plane, region);
  if (others.length === 0 && !force && !(await readHealthCheck(plane, region)).drained) {
    throw new ControlError(
      `${region} is the last region that serves: the others are drained, have no live task, or cannot be asked; --force drains it all the same`,
    );
  }
  // The table first: it moves the viewers whose region the function chooses, within seconds; DNS moves the rest.
  const scoresChanged = await updateRoutingTable(storeOf(plane), (table) => withState(table, region, 'drained'));
  if (scoresChanged) onProgress(`${region}: marked as drained in the routing table`);
  const { id, changed } = await setDrained(plane, region, true);
  if (changed) onProgress(`${region}: health check ${id} is unhealthy now; DNS follows within ${DNS_SECONDS} s`);
  return result({ region, drained: true, healthCheckId: id, changed, scoresChanged, others });
}

/**
 * Puts a region back: DNS leads there again while its health check passes, the scores do with the next measurement.
 * @throws UsageError for a region that the environment does not have
 */
export async function undrainRegion(
  { region }: DrainRequest,
  plane: ControlPlane,
  onProgress: OnProgress = () => {},
): Promise<DrainResult> {
  requireRegion(plane, region);
  const { id, changed } = await setDrained(plane, region, false);
  if (changed) onProgress(`${region}: health check ${id} follows its parts again; DNS follows within ${DNS_SECONDS} s`);
  const scoresChanged = await updateRoutingTable(storeOf(plane), (table) => withState(table, region, 'unknown'));
  if (scoresChanged) onProgress(`${region}: no longer drained in the routing table`);
  const others = await servingRegions(plane, region);
  return result({ region, drained: false, healthCheckId: id, changed, scoresChanged, others });
}

function result(done: {
  region: string;
  drained: boolean;
  healthCheckId: string;
  changed: boolean;
  scoresChanged: boolean;
  others: readonly string[];
}): DrainResult {
  const { region, drained, healthCheckId, changed, scoresChanged, others } = done;
  return {
    region,
    drained,
    dns: { healthCheckId, changed },
    scores: { changed: scoresChanged },
    effectiveWithinSeconds: changed ? DNS_SECONDS : 0,
    others,
  };
}

function requireRegion(plane: ControlPlane, region: string): void {
  if (plane.regions.includes(region)) return;
  throw new UsageError(
    `region ${JSON.stringify(region)} is not one of ${plane.scope.environment}: ${plane.regions.join(', ')}`,
  );
}

/** Regions other than `region` that are not drained and have a live task that serves. One that cannot be asked is none. */
async function servingRegions(plane: ControlPlane, region: string): Promise<string[]> {
  const others = plane.regions.filter((other) => other !== region);
  const serving = await Promise.all(
    others.map(async (other) => {
      try {
        const [{ drained }, { tasks }] = await Promise.all([
          readHealthCheck(plane, other),
          readRegionStatus(plane, other),
        ]);
        return !drained && tasks.some(({ traffic }) => traffic?.serving ?? true);
      } catch {
        return false;
      }
    }),
  );
  return others.filter((_, index) => serving[index]);
}

/** The table with one region's row set to `drained`, or away from it; a row that says so already stays. */
function withState(table: RoutingTable, region: string, state: 'drained' | 'unknown'): RoutingTable {
  const present = table.regions.find((row) => row.region === region);
  if ((present?.state === 'drained') === (state === 'drained')) return table;
  const rest = table.regions.filter((row) => row.region !== region);
  return { ...table, regions: [...rest, { region, state, load: 0, hitRate: 0 }] };
}
