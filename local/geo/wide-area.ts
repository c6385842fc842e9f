import { distanceKm, type Place } from '../../lib/core/geo';
import { AWS_REGIONS, type AwsRegion } from '../../lib/core/regions';
import type { Distances } from '../engine/network';
import type { Pop } from './pops';

/**
 * Simulated round trips over the wide area, ms. Nothing here is measured on this machine: between regions a published
 * matrix, elsewhere light in fibre over the great circle, stretched as real paths are.
 */

/** Kilometres light travels in fibre in one millisecond. */
const FIBRE_KM_PER_MS = 200;

/** Median length of a real path over the great circle, computed from the published matrix between AWS regions. */
const FIBRE_STRETCH = 1.76;

/** A wired or Wi-Fi viewer's access network; an assumption in the lower part of the usual 5 to 25 ms. */
const ACCESS_MS = 8;

/** From a viewer to its POP and back. */
export function viewerToPopMs(viewer: Place, pop: Pop): number {
  return ACCESS_MS + fibreMs(viewer, pop);
}

/** From a POP to a service in `region` and back: by fibre to the POP's nearest region, from there by the matrix. */
export function popToRegionMs(pop: Pop, region: string, distances: Distances): number {
  const gateway = regionPlace(pop.nearestRegion);
  return fibreMs(pop, gateway) + distances.betweenRegionsMs(pop.nearestRegion, region);
}

/** `regions` from the nearest to the farthest as seen from a POP. */
export function regionsByDistance(pop: Pop, regions: readonly string[], distances: Distances): string[] {
  return regions
    .map((region) => ({ region, ms: popToRegionMs(pop, region, distances) }))
    .sort((a, b) => a.ms - b.ms)
    .map(({ region }) => region);
}

function fibreMs(from: Place, to: Place): number {
  return (2 * distanceKm(from, to) * FIBRE_STRETCH) / FIBRE_KM_PER_MS;
}

function regionPlace(region: string): AwsRegion {
  const regions: Readonly<Record<string, AwsRegion>> = AWS_REGIONS;
  const found = regions[region];
  if (!found) throw new Error(`region ${JSON.stringify(region)} is not a commercial AWS region`);
  return found;
}
