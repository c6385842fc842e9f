import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { type ElastiCacheIam, elastiCacheToken, type SigningCredentials } from '../../../lib/core/elasticache-token';

/** A connection authenticated by IAM is closed 12 hours after it last authenticated; a new AUTH renews it. */
export const REAUTHENTICATE_MS = 11 * 60 * 60 * 1_000;

/** A user's name and the token that is its password now. Rejects when there are no AWS credentials. */
export type IamLogin = () => Promise<{ username: string; password: string }>;

/** Makes a new token at every call, with the credentials of the task. */
export function iamLogin(
  iam: ElastiCacheIam,
  credentials: () => Promise<SigningCredentials> = defaultProvider(),
): IamLogin {
  return async () => ({
    username: iam.userId,
    password: await elastiCacheToken(iam, await credentials(), new Date()),
  });
}
