import { Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnDelivery, CfnDeliveryDestination, CfnDeliverySource } from 'aws-cdk-lib/aws-logs';
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

export interface AccessLogBucketProps {
  /** Days that a log is kept. */
  readonly days: number;
  /** Keeps the bucket when the stack is deleted. */
  readonly retain: boolean;
}

/** Where one stack's access logs go. Encrypted by S3's own keys, for load balancers can write to no others. */
export class AccessLogBucket extends Construct {
  readonly bucket: Bucket;

  constructor(scope: Construct, id: string, { days, retain }: AccessLogBucketProps) {
    super(scope, id);
    this.bucket = new Bucket(this, 'Bucket', {
      encryption: BucketEncryption.S3_MANAGED,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      removalPolicy: retain ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      lifecycleRules: [{ id: 'expire', expiration: Duration.days(days) }],
    });
    Validations.of(this.bucket).acknowledge({ id: 'AwsSolutions-S1', reason: 'This is itself where logs go.' });
  }
}

/** Standard logging (v2) of a distribution: one compressed JSON line a request. Must stand in us-east-1. */
export class DistributionLogs extends Construct {
  constructor(scope: Construct, id: string, { name, distributionArn, ...props }: DistributionLogsProps) {
    super(scope, id);
    const { bucket } = new AccessLogBucket(this, 'Logs', props);
    const { account } = Stack.of(this);
    bucket.addToResourcePolicy(
      new PolicyStatement({
        sid: 'CloudFrontWritesLogs',
        actions: ['s3:PutObject'],
        principals: [new ServicePrincipal('delivery.logs.amazonaws.com')],
        resources: [bucket.arnForObjects('cloudfront/*')],
        conditions: { StringEquals: { 'aws:SourceAccount': account } },
      }),
    );
    const source = new CfnDeliverySource(this, 'Source', {
      name,
      logType: 'ACCESS_LOGS',
      resourceArn: distributionArn,
    });
    const destination = new CfnDeliveryDestination(this, 'Destination', {
      name,
      destinationResourceArn: `${bucket.bucketArn}/cloudfront`,
      outputFormat: 'json',
    });
    destination.node.addDependency(bucket.policy ?? bucket);
    const delivery = new CfnDelivery(this, 'Delivery', {
      deliverySourceName: name,
      deliveryDestinationArn: destination.attrArn,
    });
    delivery.addResourceDependency(source);
  }
}

export interface DistributionLogsProps extends AccessLogBucketProps {
  /** Name of the delivery, unique in the account. */
  readonly name: string;
  readonly distributionArn: string;
}
