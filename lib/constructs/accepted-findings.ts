import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

const DEAD_LETTERS =
  'The asynchronous function has an on-failure destination, which keeps the error too; the other is called and answered directly.';
const OWN_KEYS =
  'Encrypted by keys of the service. A key of our own in every region costs per call and protects from nobody who may not read the data anyway.';

/**
 * Findings of the packs NIST 800-53 R5 and Serverless that are a decision of the design wherever they occur, with the
 * reason. What depends on one resource is acknowledged where it stands.
 */
const ACCEPTED: Readonly<Record<string, string>> = {
  'NIST.800.53.R5-ALBWAFEnabled': 'AWS WAF is at CloudFront, the only caller that the listener answers.',
  'NIST.800.53.R5-CloudWatchAlarmAction': 'Operators are told by the composite alarm of which this one is a part.',
  'NIST.800.53.R5-CloudWatchLogGroupEncrypted': OWN_KEYS,
  'NIST.800.53.R5-ELBDeletionProtectionEnabled':
    'On where the environment is protected; the others are torn down often.',
  'NIST.800.53.R5-ElastiCacheRedisClusterAutomaticBackup': 'A cache: what it holds can be computed again.',
  'NIST.800.53.R5-IAMNoInlinePolicy': 'One policy for one role, deleted with it; nothing else could use it.',
  'NIST.800.53.R5-LambdaConcurrency':
    'The account limit holds; a reserve would be taken from the other functions of the region.',
  'NIST.800.53.R5-LambdaDLQ': DEAD_LETTERS,
  'NIST.800.53.R5-S3BucketLoggingEnabled':
    'Of logs, none are kept; artifacts are immutable and checked by SHA-256 at every load.',
  'NIST.800.53.R5-S3BucketReplicationEnabled': 'Replicas are not replicated again, and logs are of their region.',
  'NIST.800.53.R5-S3BucketVersioningEnabled': 'Log files are written once and expire.',
  'NIST.800.53.R5-S3DefaultEncryptionKMS': OWN_KEYS,
  'NIST.800.53.R5-SNSEncryptedKMS':
    'Messages name keys, tags and versions, and are in transit for milliseconds, over TLS.',
  'NIST.800.53.R5-SecretsManagerRotationEnabled':
    'Rotated on the schedule of the global stack, which is deployed after the edges that need the keys; see OriginKeyRotation.',
  'NIST.800.53.R5-SecretsManagerUsingKMSKey': OWN_KEYS,
  'NIST.800.53.R5-VPCDefaultSecurityGroupClosed':
    'Nothing is in the default group; emptying it takes a function per region.',
  'NIST.800.53.R5-VPCNoUnrestrictedRouteToIGW': 'Public subnets hold the load balancer and the NAT gateways alone.',
  'Serverless-LambdaDLQ': DEAD_LETTERS,
  'Serverless-LambdaTracing': 'Each invocation is one script in Valkey, whose time and outcome it logs.',
  'Serverless-SQSRedrivePolicy': 'These are themselves dead-letter queues.',
};

/** Acknowledges the accepted findings everywhere below `scope`. */
export function acceptFindings(scope: IConstruct): void {
  Validations.of(scope).acknowledge(...Object.entries(ACCEPTED).map(([id, reason]) => ({ id, reason })));
}
