// The KeyValueStore API accepts asymmetric signatures only; importing this registers the signer with the SDK.
import '@aws-sdk/signature-v4a';
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { CloudFrontClient } from '@aws-sdk/client-cloudfront';
import { CloudFrontKeyValueStoreClient } from '@aws-sdk/client-cloudfront-keyvaluestore';
import { ElastiCacheClient } from '@aws-sdk/client-elasticache';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { Route53Client } from '@aws-sdk/client-route-53';
import { S3Client } from '@aws-sdk/client-s3';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SNSClient } from '@aws-sdk/client-sns';
import { perRegion } from '../aws/per-region';
import { GLOBAL_REGION, type NamingScope } from '../core/resource-names';
import type { Clock } from './polling';

/** AWS clients of one account; regional services by region. */
export interface AwsClients {
  s3(region: string): S3Client;
  sns(region: string): SNSClient;
  lambda(region: string): LambdaClient;
  elastiCache(region: string): ElastiCacheClient;
  cloudFormation(region: string): CloudFormationClient;
  readonly cloudFront: CloudFrontClient;
  readonly keyValueStore: CloudFrontKeyValueStoreClient;
  readonly route53: Route53Client;
  /** Of the region of the origin keys. */
  readonly secrets: SecretsManagerClient;
}

/** Everything a control operation needs to know of the environment it works on. */
export interface ControlPlane {
  readonly scope: NamingScope;
  readonly homeRegion: string;
  /** Every edge region, the home region among them. */
  readonly regions: readonly string[];
  readonly distributionId: string;
  readonly keyValueStoreArn: string;
  readonly clients: AwsClients;
  readonly clock: Clock;
}

/** Told of each step as it happens, one line for people. */
export type OnProgress = (line: string) => void;

/** Clients with the SDK's own credentials and endpoint settings, one a service and region. */
export function createAwsClients(): AwsClients {
  return {
    s3: perRegion((region) => new S3Client({ region })),
    sns: perRegion((region) => new SNSClient({ region })),
    lambda: perRegion((region) => new LambdaClient({ region })),
    elastiCache: perRegion((region) => new ElastiCacheClient({ region })),
    cloudFormation: perRegion((region) => new CloudFormationClient({ region })),
    cloudFront: new CloudFrontClient({ region: GLOBAL_REGION }),
    keyValueStore: new CloudFrontKeyValueStoreClient({ region: GLOBAL_REGION }),
    route53: new Route53Client({ region: GLOBAL_REGION }),
    secrets: new SecretsManagerClient({ region: GLOBAL_REGION }),
  };
}

/**
 * Runs one piece of work in every region at once. The first failure aborts the signal that the others were given; the
 * promise settles when all have stopped.
 * @throws the first failure
 */
export async function inEveryRegion<T>(
  plane: ControlPlane,
  work: (region: string, signal: AbortSignal) => Promise<T>,
): Promise<T[]> {
  const controller = new AbortController();
  let firstFailure: { readonly error: unknown } | undefined;
  const running = plane.regions.map(async (region) => {
    try {
      return await work(region, controller.signal);
    } catch (error) {
      firstFailure ??= { error };
      controller.abort();
      throw error;
    }
  });
  await Promise.allSettled(running);
  if (firstFailure) throw firstFailure.error;
  return Promise.all(running);
}
