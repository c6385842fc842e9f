import { textAt } from './json';

interface Kind {
  /** Property that names the resource. */
  readonly name: string;
  /** ARN without partition, with `{region}`, `{account}` and `{name}`. */
  readonly arn: string;
  /** What `Ref` gives. */
  readonly ref: 'name' | 'arn';
}

/**
 * What CloudFormation gives for `Ref` and `Arn` of the types whose identity policies and other resources name.
 * Source: CloudFormation template reference, "Return values", and the Service Authorization Reference, "Resource types".
 */
const KINDS: Readonly<Record<string, Kind>> = {
  'AWS::CloudFront::KeyValueStore': { name: 'Name', arn: 'cloudfront::{account}:key-value-store/{name}', ref: 'name' },
  'AWS::CloudWatch::Alarm': { name: 'AlarmName', arn: 'cloudwatch:{region}:{account}:alarm:{name}', ref: 'name' },
  'AWS::CloudWatch::CompositeAlarm': {
    name: 'AlarmName',
    arn: 'cloudwatch:{region}:{account}:alarm:{name}',
    ref: 'arn',
  },
  'AWS::ECS::Cluster': { name: 'ClusterName', arn: 'ecs:{region}:{account}:cluster/{name}', ref: 'name' },
  'AWS::ElastiCache::ReplicationGroup': {
    name: 'ReplicationGroupId',
    arn: 'elasticache:{region}:{account}:replicationgroup:{name}',
    ref: 'name',
  },
  'AWS::ElastiCache::User': { name: 'UserId', arn: 'elasticache:{region}:{account}:user:{name}', ref: 'name' },
  'AWS::ElasticLoadBalancingV2::Listener': {
    name: '',
    arn: 'elasticloadbalancing:{region}:{account}:listener/app/balancer/id/{name}',
    ref: 'arn',
  },
  'AWS::ElasticLoadBalancingV2::LoadBalancer': {
    name: 'Name',
    arn: 'elasticloadbalancing:{region}:{account}:loadbalancer/app/{name}/id',
    ref: 'arn',
  },
  'AWS::ElasticLoadBalancingV2::TargetGroup': {
    name: 'Name',
    arn: 'elasticloadbalancing:{region}:{account}:targetgroup/{name}/id',
    ref: 'arn',
  },
  'AWS::Events::Rule': { name: 'Name', arn: 'events:{region}:{account}:rule/{name}', ref: 'name' },
  'AWS::IAM::Role': { name: 'RoleName', arn: 'iam::{account}:role/{name}', ref: 'name' },
  'AWS::KMS::Key': { name: '', arn: 'kms:{region}:{account}:key/{name}', ref: 'name' },
  'AWS::Lambda::Function': { name: 'FunctionName', arn: 'lambda:{region}:{account}:function:{name}', ref: 'name' },
  'AWS::Logs::LogGroup': { name: 'LogGroupName', arn: 'logs:{region}:{account}:log-group:{name}:*', ref: 'name' },
  'AWS::S3::Bucket': { name: 'BucketName', arn: 's3:::{name}', ref: 'name' },
  'AWS::SNS::Topic': { name: 'TopicName', arn: 'sns:{region}:{account}:{name}', ref: 'arn' },
  'AWS::SQS::Queue': { name: 'QueueName', arn: 'sqs:{region}:{account}:{name}', ref: 'name' },
  'AWS::SecretsManager::Secret': {
    name: 'Name',
    arn: 'secretsmanager:{region}:{account}:secret:{name}-xxxxxx',
    ref: 'arn',
  },
  'AWS::WAFv2::WebACL': { name: 'Name', arn: 'wafv2:{region}:{account}:global/webacl/{name}/id', ref: 'arn' },
};

/** Where a template is deployed. */
export interface Place {
  readonly account: string;
  readonly region: string;
}

/** A resource before its properties are evaluated. */
export interface RawResource {
  readonly logicalId: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** What stands for `Ref` of a resource: its name or ARN where the type says so, else its logical id in angle brackets. */
export function refOf(resource: RawResource, place: Place): string {
  const kind = KINDS[resource.type];
  if (!kind) return `<${resource.logicalId}>`;
  return kind.ref === 'arn' ? arnOf(kind, resource, place) : nameOf(resource, place);
}

/** What stands for an attribute. Endpoints are well-formed, since programs read them out of their environment. */
export function attributeOf(resource: RawResource, attribute: string, place: Place): string {
  const kind = KINDS[resource.type];
  if (attribute === 'Arn' && kind) return arnOf(kind, resource, place);
  if (attribute.endsWith('.Address')) return `${resource.logicalId.toLowerCase()}.cache.invalid`;
  if (attribute.endsWith('.Port')) return textAt(resource.properties, 'Port') || '6379';
  return `<${resource.logicalId}.${attribute}>`;
}

/** The name that AWS knows a resource by; one that CloudFormation makes up is the logical id. */
export function nameOf({ type, logicalId, properties }: RawResource, { account, region }: Place): string {
  const prefix = textAt(properties, 'BucketNamePrefix');
  if (prefix) return `${prefix}-${account}-${region}-an`;
  return textAt(properties, KINDS[type]?.name ?? '') || logicalId;
}

function arnOf(kind: Kind, resource: RawResource, place: Place): string {
  const arn = kind.arn
    .replace('{region}', place.region)
    .replace('{account}', place.account)
    .replace('{name}', nameOf(resource, place));
  return `arn:aws:${arn}`;
}
