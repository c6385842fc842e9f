import type { NamingScope } from './resource-names';

/**
 * The keys by which a load balancer tells CloudFront's requests from everybody else's. Each request shows both, and a load
 * balancer asks for either: so one of them can be changed everywhere while the other lets every request through.
 */
export const ORIGIN_KEYS = ['first', 'second'] as const;
export type OriginKey = (typeof ORIGIN_KEYS)[number];

/** Request header of each key. */
export const ORIGIN_KEY_HEADERS: Readonly<Record<OriginKey, string>> = {
  first: 'x-mlcdn-origin-key',
  second: 'x-mlcdn-origin-key-2',
};

/** Name of the secret that holds a key: made in `GLOBAL_REGION`, with replicas in every region whose listeners check it. */
export function originKeySecretName(scope: NamingScope, key: OriginKey): string {
  return `mlcdn-${scope.environment}-origin-key-${key}`;
}

/** Name of the function that rotates the keys, in `GLOBAL_REGION`. */
export function originKeyRotationName(scope: NamingScope): string {
  return `mlcdn-${scope.environment}-origin-key-rotation`;
}
