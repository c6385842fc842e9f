import { z } from 'zod';
import {
  DEPLOYMENT_METRICS,
  LIVE_TASKS,
  METRIC_TIERS,
  REGION_METRICS,
  TIER_METRICS,
} from '../../lib/core/cloudwatch-metrics';
import { globalPrice, regionalPrice, valkeyNodePrice } from './price-list';

/** Hours that AWS bills for a month on average: 365 days of 24 hours, over twelve. */
const HOURS = 730;

/** GiB of ephemeral storage that every Fargate task has without extra charge. */
const FREE_STORAGE_GIB = 20;

/** One cost of a resource that is there whether it is used or not. */
export interface Cost {
  /** What is paid for; equal texts of one stack are added up. */
  readonly what: string;
  readonly count: number;
  /** USD a month for one; `undefined`: the price list has no price, so the sum lacks it. */
  readonly each: number | undefined;
}

/** A resource of a template as the rules see it. */
export interface PricedResource {
  readonly properties: Readonly<Record<string, unknown>>;
  readonly region: string;
  /** Properties of another resource of the same template that a value refers to. */
  readonly referred: (reference: unknown) => Readonly<Record<string, unknown>>;
}

/** What a type costs at rest; `free`: nothing ever; `by use`: nothing at rest. */
export type Rule = 'free' | 'by use' | ((resource: PricedResource) => readonly Cost[]);

const perMonth = (hourly: number | undefined) => (hourly === undefined ? undefined : hourly * HOURS);

const TaskDefinition = z.object({
  Cpu: z.coerce.number(),
  Memory: z.coerce.number(),
  EphemeralStorage: z.object({ SizeInGiB: z.number() }).default({ SizeInGiB: FREE_STORAGE_GIB }),
});

/** Tasks at rest, at the price on demand also where some run on Spot, for which the list has no price. */
function tasks({ properties, region, referred }: PricedResource): Cost[] {
  const task = TaskDefinition.parse(referred(properties.TaskDefinition));
  const vcpu = regionalPrice('fargateVcpuHour', region);
  const memory = regionalPrice('fargateGbHour', region);
  const storage = regionalPrice('ephemeralGbHour', region);
  const [cpus, gigabytes] = [task.Cpu / 1024, task.Memory / 1024];
  const disk = Math.max(0, task.EphemeralStorage.SizeInGiB - FREE_STORAGE_GIB);
  const known = vcpu !== undefined && memory !== undefined && storage !== undefined;
  return [
    {
      what: `task: ${cpus} vCPU, ${gigabytes} GiB, ${task.EphemeralStorage.SizeInGiB} GiB disk`,
      count: z.number().parse(properties.DesiredCount),
      each: known ? HOURS * (cpus * vcpu + gigabytes * memory + disk * storage) : undefined,
    },
  ];
}

function loadBalancer({ properties, region }: PricedResource): Cost[] {
  const zones = z.array(z.unknown()).parse(properties.Subnets).length;
  const balancer = { what: 'load balancer', count: 1, each: perMonth(regionalPrice('loadBalancerHour', region)) };
  if (properties.Scheme !== 'internet-facing') return [balancer];
  return [balancer, { what: 'public IPv4 address', count: zones, each: address(region) }];
}

const address = (region: string) => perMonth(regionalPrice('publicIpv4Hour', region));

function valkey({ properties, region }: PricedResource): Cost[] {
  const { CacheNodeType, NumCacheClusters } = z
    .object({ CacheNodeType: z.string(), NumCacheClusters: z.number() })
    .parse(properties);
  const each = perMonth(valkeyNodePrice(CacheNodeType, region));
  return [{ what: `Valkey node ${CacheNodeType}`, count: NumCacheClusters, each }];
}

/** Alarms are billed by the metrics that they look at. */
function alarm({ properties, region }: PricedResource): Cost[] {
  const metrics = z
    .array(z.object({ MetricStat: z.unknown().optional() }))
    .default([])
    .parse(properties.Metrics);
  const looksAt = metrics.filter(({ MetricStat }) => MetricStat !== undefined).length;
  return [{ what: 'alarm, by metric', count: Math.max(1, looksAt), each: regionalPrice('alarmMetricMonth', region) }];
}

/** Metrics that tasks write into their log, each paid for once a region, with one live version of one model. */
function ownMetrics({ region }: PricedResource): Cost[] {
  const byTier = METRIC_TIERS.length * Object.keys(TIER_METRICS).length;
  const count = Object.keys(REGION_METRICS).length + byTier + DEPLOYMENT_METRICS.length + [LIVE_TASKS].length;
  return [{ what: 'custom metric, at most', count, each: regionalPrice('customMetricMonth', region) }];
}

function secret({ properties, region }: PricedResource): Cost[] {
  const replicas = z
    .array(z.object({ Region: z.string() }))
    .default([])
    .parse(properties.ReplicaRegions);
  return [region, ...replicas.map(({ Region }) => Region)].map((place) => ({
    what: 'secret or its replica',
    count: 1,
    each: regionalPrice('secretMonth', place),
  }));
}

function webAcl({ properties }: PricedResource): Cost[] {
  const rules = z.array(z.unknown()).parse(properties.Rules).length;
  return [
    { what: 'web ACL', count: 1, each: globalPrice('webAclMonth') },
    { what: 'rule of the web ACL', count: rules, each: globalPrice('webAclRuleMonth') },
  ];
}

/** At the price for endpoints in AWS. */
function healthCheck({ properties }: PricedResource): Cost[] {
  const { Type, RequestInterval } = z
    .looseObject({ Type: z.string(), RequestInterval: z.number().optional() })
    .parse(properties.HealthCheckConfig);
  const options = (Type.startsWith('HTTPS') ? 1 : 0) + (RequestInterval === 10 ? 1 : 0);
  const check = { what: 'health check', count: 1, each: globalPrice('healthCheckMonth') };
  if (options === 0) return [check];
  return [check, { what: 'option of a health check', count: options, each: globalPrice('healthCheckOptionMonth') }];
}

const one =
  (what: string, each: (region: string) => number | undefined): Rule =>
  ({ region }) => [{ what, count: 1, each: each(region) }];

/** What each type of resource of the templates costs at rest. A type that is not here is an error, never 0. */
export const RULES: Readonly<Record<string, Rule>> = {
  'AWS::ApplicationAutoScaling::ScalableTarget': 'free',
  'AWS::ApplicationAutoScaling::ScalingPolicy': 'free',
  'AWS::Budgets::Budget': 'free',
  'AWS::CDK::Metadata': 'free',
  'AWS::CertificateManager::Certificate': 'free',
  'AWS::CloudFront::CachePolicy': 'free',
  'AWS::CloudFront::Distribution': 'by use',
  'AWS::CloudFront::Function': 'by use',
  'AWS::CloudFront::KeyValueStore': 'by use',
  'AWS::CloudFront::MonitoringSubscription': one('additional metrics of a distribution', () => undefined),
  'AWS::CloudFront::OriginAccessControl': 'free',
  'AWS::CloudFront::OriginRequestPolicy': 'free',
  'AWS::CloudWatch::Alarm': alarm,
  'AWS::CloudWatch::CompositeAlarm': one('composite alarm', (region) => regionalPrice('compositeAlarmMonth', region)),
  'AWS::CloudWatch::Dashboard': one('dashboard', () => globalPrice('dashboardMonth')),
  'AWS::EC2::EIP': one('public IPv4 address', address),
  'AWS::EC2::FlowLog': 'by use',
  'AWS::EC2::InternetGateway': 'free',
  'AWS::EC2::NatGateway': one('NAT gateway', (region) => perMonth(regionalPrice('natGatewayHour', region))),
  'AWS::EC2::Route': 'free',
  'AWS::EC2::RouteTable': 'free',
  'AWS::EC2::SecurityGroup': 'free',
  'AWS::EC2::SecurityGroupEgress': 'free',
  'AWS::EC2::SecurityGroupIngress': 'free',
  'AWS::EC2::Subnet': 'free',
  'AWS::EC2::SubnetRouteTableAssociation': 'free',
  'AWS::EC2::VPC': 'free',
  'AWS::EC2::VPCEndpoint': gatewayEndpoint,
  'AWS::EC2::VPCGatewayAttachment': 'free',
  'AWS::ECS::Cluster': (resource) => [
    ...ownMetrics(resource),
    { what: 'Container Insights of a cluster', count: 1, each: undefined },
  ],
  'AWS::ECS::ClusterCapacityProviderAssociations': 'free',
  'AWS::ECS::Service': tasks,
  'AWS::ECS::TaskDefinition': 'free',
  'AWS::ElastiCache::ParameterGroup': 'free',
  'AWS::ElastiCache::ReplicationGroup': valkey,
  'AWS::ElastiCache::SubnetGroup': 'free',
  'AWS::ElastiCache::User': 'free',
  'AWS::ElastiCache::UserGroup': 'free',
  'AWS::ElasticLoadBalancingV2::Listener': 'free',
  'AWS::ElasticLoadBalancingV2::ListenerRule': 'free',
  'AWS::ElasticLoadBalancingV2::LoadBalancer': loadBalancer,
  'AWS::ElasticLoadBalancingV2::TargetGroup': 'free',
  'AWS::Events::Rule': 'free',
  'AWS::IAM::Policy': 'free',
  'AWS::IAM::Role': 'free',
  'AWS::KMS::Alias': 'free',
  'AWS::KMS::Key': one('KMS key', (region) => regionalPrice('kmsKeyMonth', region)),
  'AWS::Lambda::EventInvokeConfig': 'free',
  'AWS::Lambda::Function': 'by use',
  'AWS::Lambda::Permission': 'free',
  'AWS::Logs::Delivery': 'by use',
  'AWS::Logs::DeliveryDestination': 'free',
  'AWS::Logs::DeliverySource': 'free',
  'AWS::Logs::LogGroup': 'by use',
  'AWS::Logs::ResourcePolicy': 'free',
  'AWS::Route53::HealthCheck': healthCheck,
  'AWS::Route53::RecordSet': 'by use',
  'AWS::S3::Bucket': 'by use',
  'AWS::S3::BucketPolicy': 'free',
  'AWS::SNS::Subscription': 'free',
  'AWS::SNS::Topic': 'by use',
  'AWS::SNS::TopicPolicy': 'free',
  'AWS::SQS::Queue': 'by use',
  'AWS::SQS::QueuePolicy': 'free',
  'AWS::SecretsManager::RotationSchedule': 'free',
  'AWS::SecretsManager::Secret': secret,
  'AWS::WAFv2::LoggingConfiguration': 'by use',
  'AWS::WAFv2::WebACL': webAcl,
};

function gatewayEndpoint({ properties }: PricedResource): Cost[] {
  const { VpcEndpointType = 'Gateway' } = properties;
  if (VpcEndpointType === 'Gateway') return [];
  return [{ what: `VPC endpoint of type ${String(VpcEndpointType)}`, count: 1, each: undefined }];
}
