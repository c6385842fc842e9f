import { join } from 'node:path';
import { distanceKm, type Place } from '../../lib/core/geo';
import { AWS_REGIONS } from '../../lib/core/regions';
import { numberField, readCsv } from './csv';

/** A CloudFront location. */
export interface Pop extends Place {
  /** Airport code of its city. */
  readonly code: string;
  readonly city: string;
  /** The AWS region nearest to it by great circle. */
  readonly nearestRegion: string;
}

const REGIONS = Object.entries(AWS_REGIONS).map(([code, place]) => ({ code, lat: place.lat, lon: place.lon }));

/** CloudFront's locations outside mainland China, one a city. Source: local/data/pops-and-metros.SOURCE.txt. */
export function loadPops(): Pop[] {
  return readCsv(join(__dirname, '../data/pops.csv')).map((row) => {
    const place = { lat: numberField(row, 'lat'), lon: numberField(row, 'lon') };
    return { ...place, code: row.code ?? '', city: row.city ?? '', nearestRegion: nearest(place, REGIONS).code };
  });
}

/**
 * The candidate with the shortest great circle to `place`; the earlier one of equals.
 *
 * @throws when there is no candidate.
 */
export function nearest<T extends Place>(place: Place, candidates: readonly T[]): T {
  const [first, ...others] = candidates;
  if (!first) throw new Error('there is no place to be near to');
  let best = first;
  let bestKm = distanceKm(place, first);
  for (const candidate of others) {
    const km = distanceKm(place, candidate);
    if (km < bestKm) [best, bestKm] = [candidate, km];
  }
  return best;
}
