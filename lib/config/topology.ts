import { distanceKm } from '../core/geo';
import { AWS_REGIONS, type RegionCode } from '../core/regions';

/**
 * The region of `candidates` nearest to `region` by great-circle distance, other than itself; `undefined` when there is
 * no other. Requests that `region` cannot answer go there.
 */
export function nearestOtherRegion(region: RegionCode, candidates: readonly RegionCode[]): RegionCode | undefined {
  const here = AWS_REGIONS[region];
  return candidates
    .filter((candidate) => candidate !== region)
    .toSorted((a, b) => distanceKm(here, AWS_REGIONS[a]) - distanceKm(here, AWS_REGIONS[b]))[0];
}

/** The regions whose requests fail over to `target`. */
export function regionsFailingOverTo(target: RegionCode, regions: readonly RegionCode[]): RegionCode[] {
  return regions.filter((region) => nearestOtherRegion(region, regions) === target);
}
