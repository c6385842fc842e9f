const SEPARATOR = '\n';

/** Key of one variant of a cached thing, which every invalidation of its base key reaches. */
export function variantKey(baseKey: string, variant: string): string {
  return baseKey + SEPARATOR + variant;
}

/**
 * Key that stands for every variant of a cached thing: what comes before the first line feed. A variant's own key is
 * `<base key>\n<what it varies by>`.
 */
export function baseKeyOf(key: string): string {
  const end = key.indexOf(SEPARATOR);
  return end === -1 ? key : key.slice(0, end);
}
