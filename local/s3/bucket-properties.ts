import { z } from 'zod';
import { replicationConfigurationSchema } from './replication-rules';

/** Accepted without effect: they do not change what requests see within the life of a local run. */
const WITHOUT_EFFECT = z.unknown().optional();

/**
 * Properties of `AWS::S3::Bucket` that this stand-in understands. Strict: any other property would make the bucket behave
 * in a way that it does not have here.
 */
const bucketPropertiesSchema = z.strictObject({
  BucketName: z.string().optional(),
  BucketNamePrefix: z.string().optional(),
  BucketNamespace: z.enum(['account-regional', 'global']).optional(),
  VersioningConfiguration: z.strictObject({ Status: z.enum(['Enabled', 'Suspended']) }).optional(),
  ReplicationConfiguration: replicationConfigurationSchema.optional(),
  BucketEncryption: z
    .strictObject({
      ServerSideEncryptionConfiguration: z.array(
        z.object({ ServerSideEncryptionByDefault: z.strictObject({ SSEAlgorithm: z.literal('AES256') }).optional() }),
      ),
    })
    .optional(),
  OwnershipControls: z
    .strictObject({ Rules: z.array(z.strictObject({ ObjectOwnership: z.literal('BucketOwnerEnforced') })) })
    .optional(),
  LifecycleConfiguration: WITHOUT_EFFECT,
  PublicAccessBlockConfiguration: WITHOUT_EFFECT,
  LoggingConfiguration: WITHOUT_EFFECT,
  MetricsConfigurations: WITHOUT_EFFECT,
  Tags: WITHOUT_EFFECT,
});
export type BucketProperties = z.infer<typeof bucketPropertiesSchema>;

/** What a bucket without a name of its own is named after. */
export interface BucketPlace {
  readonly account: string;
  readonly region: string;
  readonly stackName: string;
  readonly logicalId: string;
}

const BUCKET_NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** @throws Error naming each property that is unknown or has a value this stand-in does not have */
export function parseBucketProperties(properties: unknown, where: string): BucketProperties {
  const parsed = bucketPropertiesSchema.safeParse(properties);
  if (parsed.success) return parsed.data;
  throw new Error(`The local S3 cannot make ${where}:\n${z.prettifyError(parsed.error)}`);
}

/**
 * Name that S3 gives the bucket: BucketName, or `<prefix>-<account>-<region>-an` in the account-regional namespace, or
 * else one made of stack and logical id (CloudFormation adds a random part, which would change at every start).
 */
export function bucketName(properties: BucketProperties, place: BucketPlace): string {
  const name = givenName(properties, place) ?? `${place.stackName}-${place.logicalId}`.toLowerCase().slice(0, 63);
  if (!BUCKET_NAME.test(name)) {
    throw new Error(
      `"${name}" cannot name a bucket (${place.logicalId}): 3 to 63 of a-z, 0-9, "-" and ".", a letter or digit at both ends.`,
    );
  }
  return name;
}

function givenName(properties: BucketProperties, place: BucketPlace): string | undefined {
  const { BucketName, BucketNamePrefix, BucketNamespace } = properties;
  if (BucketNamePrefix === undefined) return BucketName;
  if (BucketName !== undefined || BucketNamespace !== 'account-regional') {
    throw new Error(
      `${place.logicalId}: BucketNamePrefix "${BucketNamePrefix}" needs BucketNamespace "account-regional" and no BucketName.`,
    );
  }
  return `${BucketNamePrefix}-${place.account}-${place.region}-an`;
}
