import { Runtime } from 'aws-cdk-lib/aws-lambda';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { FARGATE_CPU_UNITS, fargateMemorySizes } from '../config/fargate';
import { type CheckedAssembly, type CheckedResource, type CheckedStack, resourceBehind } from './assembly';
import type { Check, Finding } from './finding';
import { listAt, numberAt, textAt, textsAt } from './json';
import {
  CACHE_NODE_TYPES,
  ELB_TLS_POLICIES,
  MANAGED_CACHE_POLICIES,
  MANAGED_ORIGIN_REQUEST_POLICIES,
  MANAGED_RULE_GROUPS,
  parameterFamily,
  VALKEY_VERSIONS,
} from './known-names';

type Fault = Pick<Finding, 'problem' | 'right'>;
type Rule = (resource: CheckedResource, stack: CheckedStack) => Fault[];

/** Where `value` is none of `known`. */
function unknown(what: string, value: string, known: readonly string[], source: string): Fault[] {
  if (value === '' || known.includes(value)) return [];
  return [{ problem: `${what} ${value} does not exist`, right: `${known.join(', ')} (${source})` }];
}

const isReference = (value: string) => value.startsWith('<');

function replicationGroup({ properties }: CheckedResource, stack: CheckedStack): Fault[] {
  const version = textAt(properties, 'EngineVersion');
  const engine = textAt(properties, 'Engine');
  const group = resourceBehind(stack, textAt(properties, 'CacheParameterGroupName'));
  const family = textAt(group?.properties, 'CacheParameterGroupFamily');
  const faults = [
    ...unknown(
      'the node type',
      textAt(properties, 'CacheNodeType'),
      CACHE_NODE_TYPES,
      'ElastiCache user guide, "Supported node types"',
    ),
    ...unknown('the engine', engine, ['valkey'], 'the engine whose login by IAM and access lists the users are for'),
    ...unknown('the Valkey version', version, VALKEY_VERSIONS, 'ElastiCache user guide, "Engine versions"'),
  ];
  if (family !== '' && family !== parameterFamily(version)) {
    const right = `the family ${parameterFamily(version)}`;
    faults.push({
      problem: `its parameter group is of the family ${family}, its engine is ${engine} ${version}`,
      right,
    });
  }
  if (
    textAt(properties, 'AutomaticFailoverEnabled') === 'true' &&
    (numberAt(properties, 'NumCacheClusters') ?? 0) < 2
  ) {
    faults.push({
      problem: 'AutomaticFailoverEnabled with a single node',
      right: 'NumCacheClusters of 2 to 6, or false',
    });
  }
  if (listAt(properties, 'UserGroupIds').length > 0 && textAt(properties, 'TransitEncryptionEnabled') !== 'true') {
    faults.push({ problem: 'UserGroupIds without TLS', right: 'TransitEncryptionEnabled: true' });
  }
  return faults;
}

/** Sizes of ephemeral storage, GiB. Source: ECS API reference, "EphemeralStorage". */
const EPHEMERAL_STORAGE = { min: 21, max: 200 };

function taskDefinition({ properties }: CheckedResource): Fault[] {
  const [cpu, memory] = [numberAt(properties, 'Cpu') ?? 0, numberAt(properties, 'Memory') ?? 0];
  const sizes = fargateMemorySizes(cpu);
  const faults: Fault[] = [];
  const source = 'ECS developer guide, "Task CPU and memory"';
  if (sizes.length === 0) {
    faults.push({
      problem: `Fargate has no size of ${cpu} CPU units`,
      right: `${FARGATE_CPU_UNITS.join(', ')} (${source})`,
    });
  } else if (!sizes.includes(memory)) {
    faults.push({
      problem: `Fargate does not offer ${memory} MiB with ${cpu} CPU units`,
      right: `${sizes.join(', ')} (${source})`,
    });
  }
  const storage = numberAt(properties, 'EphemeralStorage', 'SizeInGiB');
  if (storage !== undefined && (storage < EPHEMERAL_STORAGE.min || storage > EPHEMERAL_STORAGE.max)) {
    faults.push({ problem: `${storage} GiB of ephemeral storage`, right: '21 to 200, or none for 20' });
  }
  if (textAt(properties, 'NetworkMode') !== 'awsvpc') {
    faults.push({
      problem: `the network mode ${textAt(properties, 'NetworkMode')}`,
      right: 'awsvpc, the only one of Fargate',
    });
  }
  return faults;
}

/** Runtimes that a function may still be created with. Source: aws-cdk-lib, which marks the others deprecated. */
const RUNTIMES = Runtime.ALL.filter(({ name }) => /^nodejs(2[2-9]|[3-9]\d)\.x$/.test(name)).map(({ name }) => name);

const RETENTION_DAYS = Object.values(RetentionDays)
  .filter((days) => typeof days === 'number' && days < 9999)
  .map(String);

/** Minimum TLS versions of viewers. Source: CloudFront API reference, "ViewerCertificate". */
const VIEWER_TLS = ['TLSv1.2_2018', 'TLSv1.2_2019', 'TLSv1.2_2021', 'TLSv1.2_2025', 'TLSv1.3_2025'];

function distribution({ properties }: CheckedResource): Fault[] {
  const config = properties.DistributionConfig;
  const behaviours = [...listAt(config, 'DefaultCacheBehavior'), ...listAt(config, 'CacheBehaviors')];
  const ids = (property: string) => [
    ...new Set(behaviours.map((behaviour) => textAt(behaviour, property)).filter((id) => !isReference(id))),
  ];
  return [
    ...unknown(
      'the TLS policy',
      textAt(config, 'ViewerCertificate', 'MinimumProtocolVersion'),
      VIEWER_TLS,
      'without versions that clients no longer trust',
    ),
    ...ids('CachePolicyId').flatMap((id) =>
      unknown('the managed cache policy', id, MANAGED_CACHE_POLICIES, 'aws-cdk-lib, CachePolicy'),
    ),
    ...ids('OriginRequestPolicyId').flatMap((id) =>
      unknown(
        'the managed origin request policy',
        id,
        MANAGED_ORIGIN_REQUEST_POLICIES,
        'aws-cdk-lib, OriginRequestPolicy',
      ),
    ),
  ];
}

const RULES: Readonly<Record<string, Rule>> = {
  'AWS::ElastiCache::ReplicationGroup': replicationGroup,
  'AWS::ECS::TaskDefinition': taskDefinition,
  'AWS::CloudFront::Distribution': distribution,
  'AWS::EC2::Subnet': ({ properties }, stack) => {
    const zone = textAt(properties, 'AvailabilityZone');
    if (new RegExp(`^${stack.region}[a-z]$`).test(zone)) return [];
    return [{ problem: `the zone ${zone || '(none)'} is not in ${stack.region}`, right: 'an element of Fn::GetAZs' }];
  },
  'AWS::ElastiCache::User': ({ properties }) => {
    const [id, name] = [textAt(properties, 'UserId'), textAt(properties, 'UserName')];
    if (textAt(properties, 'AuthenticationMode', 'Type') !== 'iam' || id === name) return [];
    return [{ problem: `the user ${id} that logs in by IAM is named ${name}`, right: `UserName ${id}` }];
  },
  'AWS::CloudFront::Function': ({ properties }) =>
    unknown(
      'the runtime',
      textAt(properties, 'FunctionConfig', 'Runtime'),
      ['cloudfront-js-2.0'],
      'the one with stores',
    ),
  'AWS::Lambda::Function': ({ properties }) => [
    ...unknown('the runtime', textAt(properties, 'Runtime'), RUNTIMES, 'Lambda developer guide, "Supported runtimes"'),
    ...textsAt(properties, 'Architectures').flatMap((name) =>
      unknown('the architecture', name, ['arm64', 'x86_64'], 'Lambda API reference'),
    ),
  ],
  'AWS::ElasticLoadBalancingV2::Listener': ({ properties }) =>
    unknown('the TLS policy', textAt(properties, 'SslPolicy'), ELB_TLS_POLICIES, 'aws-cdk-lib, SslPolicy'),
  'AWS::Logs::LogGroup': ({ properties }) =>
    unknown('a retention of', textAt(properties, 'RetentionInDays'), RETENTION_DAYS, 'CloudWatch Logs API reference'),
  'AWS::WAFv2::WebACL': ({ properties }) =>
    listAt(properties, 'Rules').flatMap((rule) =>
      unknown(
        'the managed rule group',
        textAt(rule, 'Statement', 'ManagedRuleGroupStatement', 'Name'),
        MANAGED_RULE_GROUPS,
        'AWS WAF developer guide, "AWS Managed Rules rule groups list"',
      ),
    ),
};

/** Sizes, versions and other names that AWS itself must know. */
export const existingNames: Check = {
  name: 'existing-names',
  run: ({ stacks }: CheckedAssembly) =>
    stacks.flatMap((stack) =>
      stack.resources.flatMap((resource) =>
        (RULES[resource.type]?.(resource, stack) ?? []).map((fault) => ({
          stack: stack.name,
          resource: resource.logicalId,
          ...fault,
        })),
      ),
    ),
};
