import type { NamingScope } from './resource-names';

/** Request header by which a load balancer tells CloudFront's requests from everybody else's. */
export const ORIGIN_KEY_HEADER = 'x-mlcdn-origin-key';

/** Name of the secret that holds one origin key, in every region that checks or sends it. */
export function originKeySecretName(scope: NamingScope, key: string): string {
  return `mlcdn-${scope.environment}-origin-key-${key}`;
}
