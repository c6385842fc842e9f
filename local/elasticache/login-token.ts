/** What a token must be for. */
export interface LoginExpectation {
  readonly cacheName: string;
  readonly userId: string;
  readonly region: string;
  readonly now: Date;
}

/**
 * Access key that signed a login token, when the token is for this cache and user and still usable. The signature
 * itself is not verified, as nowhere on this machine.
 * Format: a presigned `connect` request without its scheme, see `lib/core/elasticache-token.ts`.
 */
export function loginAccessKey(token: string, expected: LoginExpectation): string | undefined {
  if (!URL.canParse(`http://${token}`)) return undefined;
  const { hostname, searchParams: query } = new URL(`http://${token}`);
  const [accessKeyId, , region, service, end] = (query.get('X-Amz-Credential') ?? '').split('/');
  const isFor =
    hostname === expected.cacheName.toLowerCase() &&
    query.get('Action') === 'connect' &&
    query.get('User') === expected.userId &&
    region === expected.region &&
    service === 'elasticache' &&
    end === 'aws4_request' &&
    query.has('X-Amz-Signature');
  return isFor && isUsable(query, expected.now) ? accessKeyId : undefined;
}

function isUsable(query: URLSearchParams, now: Date): boolean {
  const signedAt = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(query.get('X-Amz-Date') ?? '');
  if (!signedAt) return false;
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = signedAt.slice(1).map(Number);
  const ageS = (now.getTime() - Date.UTC(year, month - 1, day, hour, minute, second)) / 1000;
  return ageS <= Number(query.get('X-Amz-Expires'));
}
