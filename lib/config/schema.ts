import type { z } from 'zod';
import type { RegionCode } from '../core/regions';
import { CLOUDFRONT_PREFIX_LISTS } from './cloudfront-prefix-lists';
import { Document, type ParsedDocument } from './document';
import { checkDocument } from './document-checks';
import { sizesOf } from './sizes';

/** Regions in which a new account sees two availability zones only. Source: "Regions and Availability Zones" of AWS. */
const TWO_ZONE_REGIONS: readonly string[] = ['us-west-1'];

function zonesOf(region: RegionCode, wanted: number): number {
  return TWO_ZONE_REGIONS.includes(region) ? 2 : wanted;
}

function resolve(document: ParsedDocument) {
  const regions = document.regions.map((row) => ({
    ...row,
    ...sizesOf(document, row),
    cloudFrontPrefixListId: row.cloudFrontPrefixListId ?? CLOUDFRONT_PREFIX_LISTS[row.region],
    availabilityZones: row.availabilityZones ?? zonesOf(row.region, document.availabilityZones),
  }));
  const homeRegion = document.homeRegion ?? regions[0]?.region;
  if (!homeRegion) throw new Error('an environment without regions passed its own schema');
  return { ...document, homeRegion, regions };
}

/** Validates an environment's document and works its overrides in. */
export const EnvironmentSchema = Document.superRefine(checkDocument).transform(resolve);

/** One environment, complete: every region carries its own sizes. */
export type EnvironmentConfig = z.output<typeof EnvironmentSchema>;
export type EnvironmentName = EnvironmentConfig['name'];
/** One region of an environment with the sizes that hold there. */
export type RegionConfig = EnvironmentConfig['regions'][number];
