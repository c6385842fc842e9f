import { ArnFormat, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { Effect, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  BucketNamespace,
  type IBucket,
  ObjectOwnership,
  type ReplicationRule,
  ReplicationTimeValue,
} from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { modelBucketName, modelBucketPrefix, type NamingScope } from '../core/resource-names';
import { acknowledgeWildcards } from './acknowledge';

export interface ModelBucketProps {
  readonly naming: NamingScope;
  /** Days that overwritten and deleted objects stay recoverable. */
  readonly noncurrentDays: number;
  /** Keeps the bucket and its objects when the stack is deleted. */
  readonly retain: boolean;
  /** Regions whose model buckets receive every new object. They must exist and be versioned before this bucket. */
  readonly replicateTo?: readonly string[];
  /** Pays for S3 Replication Time Control. */
  readonly replicationTimeControl?: boolean;
}

/** Replication has a priority per rule; a gap leaves room to insert one. */
const PRIORITY_STEP = 10;

/**
 * One region's model artifacts and channel documents. The home region's is written by the operator and replicated; edge
 * tasks read their own region's, CloudFront reads the artifacts of two.
 */
export class ModelBucket extends Construct {
  readonly bucket: Bucket;

  constructor(scope: Construct, id: string, props: ModelBucketProps) {
    super(scope, id);
    const rules = replicationRules(this, props);
    const destinations = rules.map((rule) => rule.destination);
    this.bucket = new Bucket(this, 'Bucket', {
      bucketNamespace: BucketNamespace.ACCOUNT_REGIONAL,
      bucketNamePrefix: modelBucketPrefix(props.naming),
      versioned: true,
      encryption: BucketEncryption.S3_MANAGED,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      removalPolicy: props.retain ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      lifecycleRules: [
        {
          id: 'expire-noncurrent',
          noncurrentVersionExpiration: Duration.days(props.noncurrentDays),
          expiredObjectDeleteMarker: true,
          abortIncompleteMultipartUploadAfter: Duration.days(7),
        },
      ],
      ...(rules.length > 0
        ? { replicationRules: rules, replicationRole: this.replicationRole(props, destinations) }
        : {}),
    });
    this.allowCloudFront(props.naming.account);
    Validations.of(this.bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason:
        'Artifacts are immutable and carry their SHA-256; CloudTrail data events record writes, so server access logs would only repeat reads.',
    });
  }

  /**
   * Lets the account's distributions read artifacts. The grant lives here because an origin over a bucket of another
   * stack writes none, and it names the account because the distribution does not exist yet. Channel documents stay
   * private. ListBucket makes a missing artifact 404 instead of 403.
   */
  private allowCloudFront(account: string): void {
    const distributions = Stack.of(this).formatArn({
      service: 'cloudfront',
      region: '',
      account,
      resource: 'distribution',
      resourceName: '*',
      arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
    });
    const common = {
      effect: Effect.ALLOW,
      principals: [new ServicePrincipal('cloudfront.amazonaws.com')],
      conditions: { StringEquals: { 'aws:SourceAccount': account }, ArnLike: { 'aws:SourceArn': distributions } },
    };
    this.bucket.addToResourcePolicy(
      new PolicyStatement({
        sid: 'CloudFrontReadsArtifacts',
        actions: ['s3:GetObject'],
        resources: [this.bucket.arnForObjects('models/*')],
        ...common,
      }),
    );
    this.bucket.addToResourcePolicy(
      new PolicyStatement({
        sid: 'CloudFrontSeesMissingArtifacts',
        actions: ['s3:ListBucket'],
        resources: [this.bucket.bucketArn],
        ...common,
      }),
    );
  }

  /**
   * As whom S3 replicates. CDK's own role could also give replicas to another owner, and all buckets here have one.
   * Source: S3 user guide, "Setting up permissions for live replication".
   */
  private replicationRole({ naming }: ModelBucketProps, destinations: readonly IBucket[]): Role {
    const role = new Role(this, 'ReplicationRole', { assumedBy: new ServicePrincipal('s3.amazonaws.com') });
    // By its computed name: the bucket's own attributes would make bucket and role wait for each other.
    const source = importModelBucket(this, 'Source', naming, Stack.of(this).region);
    const sources = [source.arnForObjects('*')];
    const replicas = destinations.map((bucket) => bucket.arnForObjects('*'));
    role.addToPolicy(
      new PolicyStatement({
        actions: ['s3:GetReplicationConfiguration', 's3:ListBucket'],
        resources: [source.bucketArn],
      }),
    );
    role.addToPolicy(
      new PolicyStatement({
        actions: ['s3:GetObjectVersionAcl', 's3:GetObjectVersionForReplication', 's3:GetObjectVersionTagging'],
        resources: sources,
      }),
    );
    role.addToPolicy(
      new PolicyStatement({
        actions: ['s3:ReplicateDelete', 's3:ReplicateObject', 's3:ReplicateTags'],
        resources: replicas,
      }),
    );
    acknowledgeWildcards(
      role,
      [...sources, ...replicas],
      'Replication acts on every object of the buckets that its rules name, and on no other bucket.',
    );
    return role;
  }
}

/** A region's model bucket, as other stacks refer to it: by its computed name. */
export function importModelBucket(scope: Construct, id: string, naming: NamingScope, region: string): IBucket {
  const bucketName = modelBucketName(naming, region);
  return Bucket.fromBucketAttributes(scope, id, {
    bucketName,
    bucketArn: `arn:aws:s3:::${bucketName}`,
    bucketRegionalDomainName: `${bucketName}.s3.${region}.amazonaws.com`,
    region,
    account: naming.account,
  });
}

function replicationRules(scope: Construct, props: ModelBucketProps): ReplicationRule[] {
  return (props.replicateTo ?? []).map((region, index) => ({
    id: `to-${region}`,
    destination: importModelBucket(scope, `Replica-${region}`, props.naming, region),
    priority: (index + 1) * PRIORITY_STEP,
    deleteMarkerReplication: true,
    ...(props.replicationTimeControl
      ? { replicationTimeControl: ReplicationTimeValue.FIFTEEN_MINUTES, metrics: ReplicationTimeValue.FIFTEEN_MINUTES }
      : {}),
  }));
}
