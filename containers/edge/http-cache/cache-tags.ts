import { CACHE_TAG_HEADER, CacheTag } from '../../../lib/core/tags';
import { type Fields, fieldValue } from './fields';

/** CloudFront takes as many of one response. */
const MAX_TAGS = 50;

/**
 * Cache tags of an origin's response: `x-amz-meta-cache-tag` (separated by commas, as S3 and CloudFront have it),
 * `surrogate-key` (separated by spaces, as Fastly and Varnish have it), and those of its route. Malformed ones are left out.
 */
export function tagsOf(response: Fields, ofRoute: readonly string[] = []): string[] {
  const own = (fieldValue(response, CACHE_TAG_HEADER) ?? '').split(',');
  const surrogate = (fieldValue(response, 'surrogate-key') ?? '').split(/\s+/);
  const tags = new Set(ofRoute);
  for (const candidate of [...own, ...surrogate]) {
    const text = candidate.trim();
    const parsed = text === '' ? undefined : CacheTag.safeParse(text);
    if (parsed?.success) tags.add(parsed.data);
  }
  return [...tags].slice(0, MAX_TAGS);
}
