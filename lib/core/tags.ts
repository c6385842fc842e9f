import { z } from 'zod';

/**
 * A cache tag: one name for a group of cached things at every tier and at CloudFront.
 * The limits are CloudFront's (256 characters, ASCII 33-126, no comma, compared without case);
 * they hold at every tier so that one name means the same everywhere. Parsing lower-cases.
 */
export const CacheTag = z
  .string()
  .regex(/^[\x21-\x2b\x2d-\x7e]{1,256}$/, {
    error: (issue) =>
      `cache tag ${JSON.stringify(issue.input)} must be 1-256 printable ASCII characters without spaces or commas`,
  })
  .transform((tag) => tag.toLowerCase());

/** The response header that carries tags from an origin to CloudFront; S3 can only emit `x-amz-meta-*`, so every origin uses it. */
export const CACHE_TAG_HEADER = 'x-amz-meta-cache-tag';

/** Tag of everything computed by, or belonging to, a model: `model:ranker`. */
export function modelTag(model: string): string {
  return `model:${model}`.toLowerCase();
}

/** Tag of one version of a model: `model:ranker@v3`. */
export function modelVersionTag(model: string, version: string): string {
  return `model:${model}@${version}`.toLowerCase();
}
