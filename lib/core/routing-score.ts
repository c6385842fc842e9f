import { distanceKm, type Place } from './geo';

/**
 * Which region answers a request. The same code runs in the CloudFront Function, which knows neither destructuring,
 * spread nor `for-of`, so none is used here.
 */

/** Weights of the score's parts; they add up to 1, so a score lies between 0 and 1. */
const DISTANCE_WEIGHT = 0.5;
const LOAD_WEIGHT = 0.3;
const HIT_RATE_WEIGHT = 0.2;

/** Distance at which half of the distance score is gone, km. */
const HALF_DISTANCE_KM = 1000;

/** How much better another region must be than the nearest one before any viewer leaves it, and before every viewer has. */
const LEAST_MARGIN = 0.03;
const GREATEST_MARGIN = 0.1;

/**
 * What is known of a region: `healthy` serves; `unhealthy` does not; `drained` was taken out by an operator; of
 * `unknown` nothing could be learnt.
 */
export type RegionState = 'healthy' | 'unhealthy' | 'drained' | 'unknown';

/** A region as routing sees it. */
export interface RoutableRegion {
  readonly region: string;
  readonly place: Place;
  readonly state: RegionState;
  /** How loaded its tasks are; 1 and above is full. */
  readonly load: number;
  /** Share of look-ups that its caches answer, 0 to 1. */
  readonly hitRate: number;
}

/** `1 / (1 + km / 1000)`: 1 at the region itself, 0.5 at 1000 km. */
export function distanceScore(km: number): number {
  return 1 / (1 + km / HALF_DISTANCE_KM);
}

/** `1 - min(load, 1)`. */
export function loadScore(load: number): number {
  return 1 - Math.min(load, 1);
}

/** `0.5 x distance + 0.3 x load + 0.2 x hit rate`, seen from `viewer`: 0 to 1, more is better. */
export function regionScore(candidate: RoutableRegion, viewer: Place): number {
  return (
    DISTANCE_WEIGHT * distanceScore(distanceKm(viewer, candidate.place)) +
    LOAD_WEIGHT * loadScore(candidate.load) +
    HIT_RATE_WEIGHT * candidate.hitRate
  );
}

/**
 * The lead that another region needs to take a viewer from the nearest one. It is the viewer's own, always the same, and
 * spread evenly over the viewers of a place: a region whose load rises sheds them little by little, not all at once to
 * the same neighbour, which would then shed them back.
 */
export function viewerMargin(viewerId: string): number {
  let hash = 0;
  for (let i = 0; i < viewerId.length; i++) hash = (hash * 31 + viewerId.charCodeAt(i)) % 65_521;
  // One more round for the last characters, in which neighbouring addresses differ, to reach the whole range.
  return LEAST_MARGIN + (GREATEST_MARGIN - LEAST_MARGIN) * (((hash * 40_503) % 65_521) / 65_521);
}

/**
 * Regions that may answer a viewer, the one that should first; empty when that cannot be told, and latency routing is to
 * decide. Only healthy regions are named. The nearest of them keeps the viewer unless another one's score is better by
 * `margin`. Where a region in state `unknown` is nearer still, nothing is decided: Route 53 has its own view of it, and
 * a region whose report is lost serves its neighbours as before. A tie is decided by the regions' names.
 */
export function rankRegions(regions: readonly RoutableRegion[], viewer: Place, margin: number): string[] {
  const candidates = regions
    .filter((candidate) => candidate.state === 'healthy' || candidate.state === 'unknown')
    .map((candidate) => ({ candidate, km: distanceKm(viewer, candidate.place) }))
    .sort((a, b) => a.km - b.km || byName(a.candidate, b.candidate));
  const nearest = candidates[0];
  if (nearest === undefined || nearest.candidate.state === 'unknown') return [];
  return candidates
    .filter((each) => each.candidate.state === 'healthy')
    .map((each) => ({
      candidate: each.candidate,
      score: regionScore(each.candidate, viewer) + (each === nearest ? margin : 0),
    }))
    .sort((a, b) => b.score - a.score || byName(a.candidate, b.candidate))
    .map((each) => each.candidate.region);
}

function byName(a: RoutableRegion, b: RoutableRegion): number {
  return a.region < b.region ? -1 : 1;
}
