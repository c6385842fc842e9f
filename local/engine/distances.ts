import { distanceKm } from '../../lib/core/geo';
import { AWS_REGIONS, type AwsRegion } from '../../lib/core/regions';
import matrix from '../data/rtt-p50.json';
import type { Distances } from './network';

/** Kilometres light travels in fibre in one millisecond. */
const FIBRE_KM_PER_MS = 200;

/** Median length of a real path over the great circle, from the measured pairs (see `source` of the data). */
const FIBRE_STRETCH = 1.76;

const INDEX = new Map(matrix.regions.map((region, index) => [region, index]));

/**
 * The matrix was measured against a service endpoint; its diagonal is that service's time within a region, which is not
 * distance and is subtracted.
 */
const SERVICE_MS = median(matrix.regions.map((_, index) => matrix.rtt_ms[index]?.[index] ?? 0));

/** Round trips between AWS regions: measured medians, and a fibre-length estimate for pairs without a measurement. */
export const regionDistances: Distances = {
  betweenRegionsMs(from, to) {
    if (from === to) return 0;
    return measuredMs(from, to) ?? estimatedMs(from, to);
  },
};

function measuredMs(from: string, to: string): number | undefined {
  const [row, column] = [INDEX.get(from), INDEX.get(to)];
  if (row === undefined || column === undefined) return undefined;
  const [there, back] = [matrix.rtt_ms[row]?.[column], matrix.rtt_ms[column]?.[row]];
  if (there === undefined || back === undefined) return undefined;
  return Math.max(0, (there + back) / 2 - SERVICE_MS);
}

function estimatedMs(from: string, to: string): number {
  return (2 * distanceKm(place(from), place(to)) * FIBRE_STRETCH) / FIBRE_KM_PER_MS;
}

function place(region: string): AwsRegion {
  const regions: Readonly<Record<string, AwsRegion>> = AWS_REGIONS;
  const found = regions[region];
  if (!found) throw new Error(`region ${region} is not a commercial AWS region`);
  return found;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
