import { z } from 'zod';
import type { Resource, ResourceModule, Running } from '../engine/types';
import type { IamStandIn } from '../iam/iam-stand-in';
import { bucketArn } from './bucket';
import { bucketName, parseBucketProperties } from './bucket-properties';
import { replicationRules } from './replication-rules';
import type { S3StandIn } from './s3-stand-in';

/**
 * The CloudFormation types that `s3` brings up.
 *
 * @param iam decides what a bucket's replication role may do; without it, everything.
 */
export function s3Modules(s3: S3StandIn, iam?: IamStandIn): ResourceModule[] {
  return [
    { type: 'AWS::S3::Bucket', start: (resource) => startBucket(s3, resource, iam) },
    { type: 'AWS::S3::BucketPolicy', start: (resource) => startBucketPolicy(s3, resource) },
  ];
}

async function startBucket(s3: S3StandIn, resource: Resource, iam: IamStandIn | undefined): Promise<Running> {
  const { region } = resource;
  const properties = parseBucketProperties(resource.properties, `${resource.stackName}/${resource.logicalId}`);
  const name = bucketName(properties, resource);
  const replication = properties.ReplicationConfiguration;
  if (replication) iam?.requireTrust(replication.Role, 's3.amazonaws.com');
  await s3.createBucket({
    name,
    region,
    versioning: properties.VersioningConfiguration?.Status ?? 'Disabled',
    replicationRules: replication === undefined ? [] : replicationRules(replication),
    ...(replication && iam
      ? {
          replicationRefusal: (action, target) =>
            iam.missing(replication.Role, 's3.amazonaws.com', { action, resource: target }),
        }
      : {}),
  });
  return {
    ref: name,
    attributes: {
      Arn: bucketArn(name),
      DomainName: `${name}.s3.amazonaws.com`,
      RegionalDomainName: `${name}.s3.${region}.amazonaws.com`,
      DualStackDomainName: `${name}.s3.dualstack.${region}.amazonaws.com`,
      WebsiteURL: `http://${name}.s3-website-${region}.amazonaws.com`,
    },
    stop: () => s3.closeBucket(name),
  };
}

const bucketPolicySchema = z.strictObject({ Bucket: z.string(), PolicyDocument: z.unknown() });

async function startBucketPolicy(s3: S3StandIn, resource: Resource): Promise<Running> {
  const parsed = bucketPolicySchema.safeParse(resource.properties);
  if (!parsed.success) {
    throw new Error(`${resource.stackName}/${resource.logicalId}:\n${z.prettifyError(parsed.error)}`);
  }
  s3.putBucketPolicy(parsed.data.Bucket, parsed.data.PolicyDocument);
  return { ref: parsed.data.Bucket };
}
