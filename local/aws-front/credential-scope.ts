import type { IncomingMessage } from 'node:http';

/** What a signed AWS request says of itself. */
export interface CredentialScope {
  readonly accessKeyId: string;
  /** Signing name of the service. */
  readonly service: string;
  readonly region: string;
}

const ALGORITHMS = ['AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256'];

/**
 * Reads the credential scope of a request signed by AWS Signature Version 4 or 4A, in the `Authorization` header or
 * (presigned) in the query. `undefined` when the request is not signed so. The signature itself is not verified: the
 * endpoint listens on the loopback interface only.
 *
 * Format: AWS "Signature Version 4 for API requests": `<key>/<date>/<region>/<service>/aws4_request`; 4A leaves the
 * region out and gives it in `X-Amz-Region-Set`.
 */
export function credentialScope(request: IncomingMessage): CredentialScope | undefined {
  const query = new URL(request.url ?? '/', 'http://localhost').searchParams;
  const header = /^(\S+)\s+.*?Credential=([^,\s]+)/.exec(request.headers.authorization ?? '');
  const algorithm = header?.[1] ?? query.get('X-Amz-Algorithm') ?? '';
  const credential = header?.[2] ?? query.get('X-Amz-Credential');
  if (!credential || !ALGORITHMS.includes(algorithm)) return undefined;
  const parts = credential.split('/');
  if (parts.pop() !== 'aws4_request') return undefined;
  const service = parts.pop();
  const regionSet = request.headers['x-amz-region-set'] ?? query.get('X-Amz-Region-Set');
  const region = algorithm === 'AWS4-HMAC-SHA256' ? parts.pop() : firstRegion(regionSet);
  // An access key id may itself hold a slash nowhere, so two parts remain: the key and the date.
  const [accessKeyId] = parts;
  return accessKeyId && service && region ? { accessKeyId, service, region } : undefined;
}

function firstRegion(regionSet: string | string[] | null | undefined): string {
  const [first = ''] = String(regionSet ?? '').split(',');
  return first === '' || first === '*' ? 'us-east-1' : first.trim();
}
