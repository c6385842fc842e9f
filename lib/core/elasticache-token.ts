import { Sha256Node } from '@smithy/core/checksum';
import { SignatureV4 } from '@smithy/signature-v4';

/** Who connects to which ElastiCache cache by IAM. */
export interface ElastiCacheIam {
  /** Id of the ElastiCache user, which with IAM is its name too. */
  readonly userId: string;
  /** Replication group id of the cache. */
  readonly cacheName: string;
  /** AWS region of the cache. */
  readonly region: string;
}

/** AWS credentials of whoever connects. */
export interface SigningCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** The longest that ElastiCache allows a token to be usable, s. */
const TOKEN_LIFETIME_S = 900;

/**
 * The password of an IAM-authenticated user: a presigned `connect` request without its scheme, usable for 15 minutes
 * from `now`. It is checked when a connection authenticates; the connection itself lasts 12 hours from then.
 * https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
 */
export async function elastiCacheToken(
  { userId, cacheName, region }: ElastiCacheIam,
  credentials: SigningCredentials,
  now: Date,
): Promise<string> {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const signer = new SignatureV4({
    service: 'elasticache',
    region,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    sha256: Sha256Node,
  });
  const signed = await signer.presign(
    {
      method: 'GET',
      protocol: 'http:',
      hostname: cacheName,
      path: '/',
      headers: { host: cacheName },
      query: { Action: 'connect', User: userId },
    },
    { expiresIn: TOKEN_LIFETIME_S, signingDate: now },
  );
  const query = Object.entries(signed.query ?? {}).map(([name, value]) => `${name}=${encodeURIComponent(`${value}`)}`);
  return `${cacheName}/?${query.join('&')}`;
}
