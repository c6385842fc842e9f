import type { CheckedResource, CheckedStack } from './assembly';
import type { Check, Finding } from './finding';
import { listAt, objectAt, textAt } from './json';
import { statementsIn } from './policies';

type Fault = Pick<Finding, 'problem' | 'right'>;

/** Source: CloudFormation user guide, "Quotas". */
const STACK = { resources: 500, outputs: 200, templateBytes: 1_000_000, nameLength: 128 };

/** Characters that a name may have, by type and property. Source: API reference of each service. */
const NAMES: Readonly<Record<string, Readonly<Record<string, { max: number; form?: RegExp }>>>> = {
  'AWS::CloudFront::CachePolicy': { 'CachePolicyConfig.Name': { max: 128 }, 'CachePolicyConfig.Comment': { max: 128 } },
  'AWS::CloudFront::Distribution': { 'DistributionConfig.Comment': { max: 128 } },
  'AWS::CloudFront::Function': { Name: { max: 64, form: /^[A-Za-z0-9-_]+$/ }, 'FunctionConfig.Comment': { max: 128 } },
  'AWS::CloudFront::KeyValueStore': { Name: { max: 64, form: /^[A-Za-z0-9-_]+$/ } },
  'AWS::CloudFront::OriginAccessControl': { 'OriginAccessControlConfig.Name': { max: 64 } },
  'AWS::CloudWatch::Alarm': { AlarmName: { max: 255 }, AlarmDescription: { max: 1024 } },
  'AWS::CloudWatch::CompositeAlarm': {
    AlarmName: { max: 255 },
    AlarmDescription: { max: 1024 },
    AlarmRule: { max: 10_240 },
  },
  'AWS::CloudWatch::Dashboard': { DashboardName: { max: 255, form: /^[A-Za-z0-9-_]+$/ } },
  'AWS::EC2::SecurityGroup': {
    GroupName: { max: 255 },
    GroupDescription: { max: 255, form: /^[\w .:/()#,@[\]+=&;{}!$*-]+$/ },
  },
  'AWS::ECS::Cluster': { ClusterName: { max: 255, form: /^[\w-]+$/ } },
  'AWS::ECS::Service': { ServiceName: { max: 255, form: /^[\w-]+$/ } },
  'AWS::ECS::TaskDefinition': { Family: { max: 255, form: /^[\w-]+$/ } },
  'AWS::ElastiCache::ReplicationGroup': { ReplicationGroupId: { max: 40, form: /^[a-z](?!.*--)[a-z0-9-]*[a-z0-9]$/ } },
  'AWS::ElastiCache::User': { UserId: { max: 40, form: /^[a-z](?!.*--)[a-z0-9-]*[a-z0-9]$/ } },
  'AWS::ElastiCache::UserGroup': { UserGroupId: { max: 40, form: /^[a-z](?!.*--)[a-z0-9-]*[a-z0-9]$/ } },
  'AWS::ElasticLoadBalancingV2::LoadBalancer': { Name: { max: 32, form: /^(?!internal-)[A-Za-z0-9-]+$/ } },
  'AWS::ElasticLoadBalancingV2::TargetGroup': { Name: { max: 32, form: /^[A-Za-z0-9-]+$/ } },
  'AWS::Events::Rule': { Name: { max: 64 } },
  'AWS::IAM::Policy': { PolicyName: { max: 128, form: /^[\w+=,.@-]+$/ } },
  'AWS::IAM::Role': { RoleName: { max: 64, form: /^[\w+=,.@-]+$/ } },
  'AWS::Lambda::Function': { FunctionName: { max: 64, form: /^[\w-]+$/ }, Description: { max: 256 } },
  'AWS::Logs::LogGroup': { LogGroupName: { max: 512, form: /^[\w#./-]+$/ } },
  'AWS::Logs::DeliverySource': { Name: { max: 60, form: /^[\w-]+$/ } },
  'AWS::Logs::DeliveryDestination': { Name: { max: 60, form: /^[\w-]+$/ } },
  'AWS::Route53::RecordSet': { Name: { max: 255 }, SetIdentifier: { max: 128 } },
  'AWS::SecretsManager::Secret': { Name: { max: 512, form: /^[\w/+=.@-]+$/ } },
  'AWS::SNS::Topic': { TopicName: { max: 256, form: /^[\w-]+(\.fifo)?$/ } },
  'AWS::SQS::Queue': { QueueName: { max: 80, form: /^[\w-]+(\.fifo)?$/ } },
  'AWS::WAFv2::WebACL': { Name: { max: 128, form: /^[\w-]+$/ } },
};

const BUCKET = { max: 63, form: /^[a-z0-9][a-z0-9.-]*[a-z0-9]$/ };

/** Characters of a role's own policies together, white space left out. Source: IAM user guide, "IAM and STS quotas". */
const ROLE_POLICY_CHARACTERS = 10_240;

/** All environment variables of a function. Source: Lambda developer guide, "Lambda quotas". */
const FUNCTION_VARIABLE_BYTES = 4096;

/** Metrics on one dashboard. Source: CloudWatch user guide, "CloudWatch service quotas". */
const DASHBOARD_METRICS = 2500;
const METRICS_PER_WIDGET = 500;

/** Sizes, counts and lengths beyond which a deployment is refused. */
export const limits: Check = {
  name: 'limits',
  run: ({ stacks }) =>
    stacks.flatMap((stack) => [
      ...stackFaults(stack).map((fault) => ({ stack: stack.name, resource: stack.name, ...fault })),
      ...stack.resources.flatMap((resource) =>
        [...nameFaults(resource), ...contentFaults(resource), ...roleFaults(stack, resource)].map((fault) => ({
          stack: stack.name,
          resource: resource.logicalId,
          ...fault,
        })),
      ),
    ]),
};

function stackFaults({ name, resources, outputs, templateBytes }: CheckedStack): Fault[] {
  const measured: readonly (readonly [string, number, number])[] = [
    ['resources', resources.length, STACK.resources],
    ['outputs', outputs.length, STACK.outputs],
    ['bytes of template', templateBytes, STACK.templateBytes],
    ['characters in its name', name.length, STACK.nameLength],
  ];
  return measured
    .filter(([, count, max]) => count > max)
    .map(([what, count, max]) => ({ problem: `${count} ${what}`, right: `at most ${max}` }));
}

function nameFaults({ type, name, properties }: CheckedResource): Fault[] {
  const limited = Object.entries(NAMES[type] ?? {}).map(([property, limit]) => ({
    property,
    value: textAt(properties, ...property.split('.')),
    ...limit,
  }));
  // CloudFormation makes names up that fit; the account-regional namespace appends account and region.
  const bucket = type === 'AWS::S3::Bucket' && Object.keys(properties).some((key) => key.startsWith('BucketName'));
  return [...limited, ...(bucket ? [{ property: 'its name', value: name, ...BUCKET }] : [])].flatMap(
    ({ property, value, max, form }) => {
      if (value.length > max) {
        return [{ problem: `${property} has ${value.length} characters: ${value}`, right: `at most ${max}` }];
      }
      if (value === '' || !form || form.test(value)) return [];
      return [{ problem: `${property} is ${value}`, right: `a name of the form ${form.source}` }];
    },
  );
}

function contentFaults({ type, properties }: CheckedResource): Fault[] {
  if (type === 'AWS::Lambda::Function') {
    const bytes = Buffer.byteLength(JSON.stringify(objectAt(properties, 'Environment', 'Variables')));
    if (bytes > FUNCTION_VARIABLE_BYTES) {
      return [{ problem: `${bytes} bytes of environment variables`, right: `at most ${FUNCTION_VARIABLE_BYTES}` }];
    }
  }
  if (type === 'AWS::CloudWatch::Dashboard') return dashboardFaults(textAt(properties, 'DashboardBody'));
  return [];
}

function dashboardFaults(body: string): Fault[] {
  const widgets = listAt(parsed(body), 'widgets');
  if (widgets.length === 0) return [{ problem: 'its body is no list of widgets', right: 'JSON with widgets' }];
  const counts = widgets.map((widget) => listAt(widget, 'properties', 'metrics').length);
  const total = counts.reduce((sum, count) => sum + count, 0);
  return [
    ...(total > DASHBOARD_METRICS ? [{ problem: `${total} metrics`, right: `at most ${DASHBOARD_METRICS}` }] : []),
    ...(Math.max(...counts) > METRICS_PER_WIDGET
      ? [{ problem: `a widget with ${Math.max(...counts)} metrics`, right: `at most ${METRICS_PER_WIDGET}` }]
      : []),
  ];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function roleFaults(stack: CheckedStack, role: CheckedResource): Fault[] {
  if (role.type !== 'AWS::IAM::Role') return [];
  const attached = stack.resources.filter(
    ({ type, properties }) => type === 'AWS::IAM::Policy' && listAt(properties, 'Roles').includes(role.ref),
  );
  const characters = attached
    .filter((policy) => statementsIn(stack, policy).length > 0)
    .reduce((sum, { properties }) => sum + JSON.stringify(properties.PolicyDocument).length, 0);
  if (characters <= ROLE_POLICY_CHARACTERS) return [];
  return [{ problem: `its policies have ${characters} characters`, right: `at most ${ROLE_POLICY_CHARACTERS}` }];
}
