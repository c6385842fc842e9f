import { z } from 'zod';
import { AWS_REGIONS, type RegionCode } from '../core/regions';
import { nearestNames } from './nearest-names';

const KNOWN_REGIONS = Object.keys(AWS_REGIONS);

/** A value as an error message shows it. */
export function quoted(value: unknown): string {
  return JSON.stringify(value) ?? 'no value';
}

/** A commercial AWS region. */
export const Region = z.custom<RegionCode>((value) => typeof value === 'string' && value in AWS_REGIONS, {
  error: ({ input }) =>
    `${quoted(input)} is not a commercial AWS region; nearest names: ${nearestNames(String(input), KNOWN_REGIONS).join(', ')}`,
});

/** One of these numbers. */
export function oneOf(allowed: readonly number[]) {
  return z.number().refine((value) => allowed.includes(value), {
    error: ({ input }) => `${quoted(input)} must be one of ${allowed.join(', ')}`,
  });
}

/** A whole number, both bounds included. */
export function wholeBetween(min: number, max: number) {
  const error = ({ input }: { input?: unknown }) => `${quoted(input)} must be a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** A text of a form; `meaning` completes "must be". */
export function matching(pattern: RegExp, meaning: string) {
  const error = ({ input }: { input?: unknown }) => `${quoted(input)} must be ${meaning}`;
  return z.string({ error }).regex(pattern, { error });
}
