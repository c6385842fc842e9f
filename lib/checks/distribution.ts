import { GLOBAL_REGION } from '../core/resource-names';
import { type CheckedAssembly, type CheckedResource, type CheckedStack, resourcesOf } from './assembly';
import type { Check, Finding } from './finding';
import { at, listAt, numberAt, objectAt, textAt, textsAt } from './json';
import { ALL_VIEWER_POLICY } from './known-names';
import { statementsIn } from './policies';

type Fault = Pick<Finding, 'problem' | 'right'>;

/** Quotas of a distribution and an account as they start. Source: CloudFront developer guide, "Quotas". */
const QUOTAS = { origins: 100, originGroups: 10, cacheBehaviors: 75, cachePolicies: 20, readTimeoutSeconds: 120 };

/** Methods for which CloudFront fails over between the members of an origin group. */
const FAILOVER_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/** What CloudFront, its cache policies and its firewall refuse, or do differently from what the template seems to say. */
export const distribution: Check = {
  name: 'distribution',
  run: (assembly) => [
    ...each(assembly, 'AWS::CloudFront::Distribution', (resource, stack) =>
      distributionFaults(resource, stack, assembly),
    ),
    ...each(assembly, 'AWS::CloudFront::CachePolicy', ttlFaults),
    ...each(assembly, 'AWS::WAFv2::WebACL', firewallFaults),
    ...policyCountFaults(assembly),
  ],
};

function each(
  assembly: CheckedAssembly,
  type: string,
  rule: (resource: CheckedResource, stack: CheckedStack) => Fault[],
): Finding[] {
  return resourcesOf(assembly, type).flatMap(({ stack, resource }) =>
    rule(resource, stack).map((fault) => ({ stack: stack.name, resource: resource.logicalId, ...fault })),
  );
}

function ttlFaults({ properties }: CheckedResource): Fault[] {
  const ttl = (name: string) => numberAt(properties, 'CachePolicyConfig', name) ?? 0;
  const [min, standard, max] = [ttl('MinTTL'), ttl('DefaultTTL'), ttl('MaxTTL')];
  if (min <= standard && standard <= max) return [];
  return [{ problem: `MinTTL ${min}, DefaultTTL ${standard}, MaxTTL ${max}`, right: 'MinTTL <= DefaultTTL <= MaxTTL' }];
}

function distributionFaults(resource: CheckedResource, stack: CheckedStack, assembly: CheckedAssembly): Fault[] {
  const config = resource.properties.DistributionConfig;
  const behaviours = [...listAt(config, 'DefaultCacheBehavior'), ...listAt(config, 'CacheBehaviors')];
  const origins = listAt(config, 'Origins');
  const groups = listAt(config, 'OriginGroups', 'Items');
  return [
    ...sizeFaults({ origins, originGroups: groups, cacheBehaviors: behaviours.slice(1) }),
    ...behaviours.flatMap((behaviour) => behaviourFaults(behaviour, origins, groups)),
    ...groups.flatMap((group) => danglingMembers(group, origins)),
    ...origins.flatMap((origin) => originFaults(origin, assembly)),
    ...placeFaults(config, stack),
    ...aliasFaults(config, stack),
    ...tagFaults(config),
  ];
}

function sizeFaults(
  counts: Readonly<Record<'origins' | 'originGroups' | 'cacheBehaviors', readonly unknown[]>>,
): Fault[] {
  return (['origins', 'originGroups', 'cacheBehaviors'] as const)
    .filter((name) => counts[name].length > QUOTAS[name])
    .map((name) => ({ problem: `${counts[name].length} ${name}`, right: `at most ${QUOTAS[name]}` }));
}

function behaviourFaults(behaviour: unknown, origins: readonly unknown[], groups: readonly unknown[]): Fault[] {
  const path = textAt(behaviour, 'PathPattern') || 'the default behaviour';
  const target = textAt(behaviour, 'TargetOriginId');
  const origin = origins.find((candidate) => textAt(candidate, 'Id') === target);
  const group = groups.find((candidate) => textAt(candidate, 'Id') === target);
  if (!origin && !group)
    return [{ problem: `${path} goes to ${target}, which is no origin`, right: 'an origin or a group of them' }];
  const methods = textsAt(behaviour, 'AllowedMethods').filter((method) => !FAILOVER_METHODS.includes(method));
  const faults: Fault[] = [];
  if (group && methods.length > 0) {
    faults.push({
      problem: `${path} allows ${methods.join(', ')} with an origin group`,
      right: `${FAILOVER_METHODS.join(', ')} only; choose the origin of other methods in a function`,
    });
  }
  if (origin && at(origin, 'CustomOriginConfig') && textAt(behaviour, 'OriginRequestPolicyId') === ALL_VIEWER_POLICY) {
    faults.push({
      problem: `${path} forwards the viewer's Host, which the certificate of ${textAt(origin, 'DomainName')} does not name`,
      right: 'the policy AllViewerExceptHostHeader',
    });
  }
  return faults;
}

function danglingMembers(group: unknown, origins: readonly unknown[]): Fault[] {
  const ids = origins.map((origin) => textAt(origin, 'Id'));
  const members = listAt(group, 'Members', 'Items').map((member) => textAt(member, 'OriginId'));
  const dangling = members.filter((id) => !ids.includes(id));
  return [
    ...dangling.map((id) => ({
      problem: `an origin group has the member ${id}, which is no origin`,
      right: ids.join(', '),
    })),
    ...(members.length === 2 ? [] : [{ problem: `an origin group of ${members.length}`, right: 'two members' }]),
  ];
}

function originFaults(origin: unknown, assembly: CheckedAssembly): Fault[] {
  const id = textAt(origin, 'Id');
  const timeout = numberAt(origin, 'CustomOriginConfig', 'OriginReadTimeout') ?? 0;
  const faults: Fault[] = [];
  if (timeout > QUOTAS.readTimeoutSeconds) {
    faults.push({
      problem: `the origin ${id} is waited for ${timeout} s`,
      right: `at most ${QUOTAS.readTimeoutSeconds} s`,
    });
  }
  if (at(origin, 'VpcOriginConfig')) {
    const right = "a public load balancer that takes CloudFront's addresses and our key only";
    faults.push({ problem: `the origin ${id} is in a VPC, which Route 53 cannot route to by latency`, right });
  }
  return at(origin, 'S3OriginConfig') ? [...faults, ...bucketFaults(origin, assembly)] : faults;
}

/** A bucket lets CloudFront in by its own policy, which an origin over a bucket of another stack does not write. */
function bucketFaults(origin: unknown, assembly: CheckedAssembly): Fault[] {
  const [bucketName, region] = textAt(origin, 'DomainName').split(/\.s3\.|\.amazonaws\.com/);
  const found = resourcesOf(assembly, 'AWS::S3::Bucket').find(({ resource }) => resource.name === bucketName);
  if (!found)
    return [
      {
        problem: `the origin ${textAt(origin, 'Id')} is the bucket ${bucketName}, which no stack has`,
        right: 'the name of a bucket of this environment',
      },
    ];
  const { stack, resource: bucket } = found;
  const faults: Fault[] = [];
  if (stack.region !== region) {
    faults.push({
      problem: `the bucket ${bucketName} is addressed in ${region}`,
      right: `its region, ${stack.region}`,
    });
  }
  if (textAt(origin, 'OriginAccessControlId') === '') {
    faults.push({
      problem: `the bucket ${bucketName} is read without origin access control`,
      right: 'OriginAccessControlId',
    });
  }
  const policies = stack.resources.filter(
    ({ type, properties }) => type === 'AWS::S3::BucketPolicy' && textAt(properties, 'Bucket') === bucket.ref,
  );
  const granted = policies
    .flatMap((policy) => statementsIn(stack, policy))
    .filter(
      ({ effect, principal }) =>
        effect === 'Allow' && textsAt(principal, 'Service').includes('cloudfront.amazonaws.com'),
    )
    .flatMap(({ actions }) => actions);
  const reasons = {
    's3:GetObject': 'CloudFront reads nothing',
    's3:ListBucket': 'a missing object is 403 instead of 404',
  };
  for (const [action, effect] of Object.entries(reasons)) {
    if (granted.includes(action)) continue;
    faults.push({
      problem: `the policy of ${bucketName} lacks ${action} for CloudFront: ${effect}`,
      right: 'the statement',
    });
  }
  return faults;
}

/** CloudFront reads certificates and firewalls of one region only. */
function placeFaults(config: unknown, stack: CheckedStack): Fault[] {
  const inTemplate = [textAt(config, 'ViewerCertificate', 'AcmCertificateArn'), textAt(config, 'WebACLId')];
  return inTemplate
    .filter((reference) => reference !== '')
    .map((reference) => ({ reference, region: /^arn:aws:(?:acm|wafv2):([^:]*):/.exec(reference)?.[1] ?? stack.region }))
    .filter(({ region }) => region !== GLOBAL_REGION)
    .map(({ reference, region }) => ({
      problem: `takes ${reference} from ${region}`,
      right: `one in ${GLOBAL_REGION}`,
    }));
}

function aliasFaults(config: unknown, stack: CheckedStack): Fault[] {
  const reference = textAt(config, 'ViewerCertificate', 'AcmCertificateArn');
  const certificate = stack.resources.find(({ ref }) => ref === reference);
  const names = [
    textAt(certificate?.properties, 'DomainName'),
    ...textsAt(certificate?.properties, 'SubjectAlternativeNames'),
  ];
  return textsAt(config, 'Aliases')
    .filter((alias) => certificate && !names.includes(alias) && !names.includes(alias.replace(/^[^.]*/, '*')))
    .map((alias) => ({ problem: `its certificate does not name ${alias}`, right: `a certificate for ${alias}` }));
}

/** S3 keeps only headers below `x-amz-meta-`, so that a tag of an artifact arrives under such a name alone. */
function tagFaults(config: unknown): Fault[] {
  const header = textAt(config, 'CacheTagConfig', 'HeaderName');
  if (header.startsWith('x-amz-meta-')) return [];
  return [
    { problem: `reads cache tags from ${header || 'no header'}`, right: 'a header that S3 can keep, x-amz-meta-...' },
  ];
}

function firewallFaults({ properties }: CheckedResource, stack: CheckedStack): Fault[] {
  const faults: Fault[] = [];
  if (textAt(properties, 'Scope') === 'CLOUDFRONT' && stack.region !== GLOBAL_REGION) {
    faults.push({ problem: `Scope CLOUDFRONT in ${stack.region}`, right: `a stack in ${GLOBAL_REGION}` });
  }
  for (const rule of listAt(properties, 'Rules')) {
    const group = objectAt(rule, 'Statement', 'ManagedRuleGroupStatement');
    if (textAt(group, 'Name') !== 'AWSManagedRulesCommonRuleSet') continue;
    const counted = listAt(group, 'RuleActionOverrides')
      .filter((override) => at(override, 'ActionToUse', 'Count') !== undefined)
      .map((override) => textAt(override, 'Name'));
    if (!counted.includes('SizeRestrictions_BODY')) {
      faults.push({
        problem: 'blocks bodies over 8 KB, as batches of predictions are',
        right: 'SizeRestrictions_BODY: Count',
      });
    }
  }
  return faults;
}

function policyCountFaults(assembly: CheckedAssembly): Finding[] {
  const policies = resourcesOf(assembly, 'AWS::CloudFront::CachePolicy');
  const [first] = policies;
  if (!first || policies.length <= QUOTAS.cachePolicies) return [];
  const problem = `the account gets ${policies.length} cache policies`;
  return [
    { stack: first.stack.name, resource: first.resource.logicalId, problem, right: `at most ${QUOTAS.cachePolicies}` },
  ];
}
