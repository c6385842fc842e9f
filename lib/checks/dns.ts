import { AWS_REGIONS } from '../core/regions';
import { type CheckedAssembly, type CheckedResource, type CheckedStack, resourcesOf } from './assembly';
import type { Check, Finding } from './finding';
import { at, listAt, textAt, textsAt } from './json';

interface Placed {
  readonly stack: CheckedStack;
  readonly resource: CheckedResource;
}

/** What tells records of one name apart, by routing policy. */
const ROUTING = ['Region', 'Failover', 'Weight', 'GeoLocation', 'MultiValueAnswer'];

/** Records fit together over all stacks, and every load balancer that a name can lead to has it in its certificate. */
export const dns: Check = {
  name: 'dns',
  run(assembly) {
    const records = resourcesOf(assembly, 'AWS::Route53::RecordSet');
    return [...records.flatMap((record) => recordFaults(record, records)), ...certificateFaults(assembly, records)];
  },
};

function nameOf({ resource }: Placed): string {
  return textAt(resource.properties, 'Name').replace(/\.$/, '').toLowerCase();
}

function recordFaults(record: Placed, records: readonly Placed[]): Finding[] {
  const { stack, resource } = record;
  const { properties } = resource;
  const at = { stack: stack.name, resource: resource.logicalId };
  const region = textAt(properties, 'Region');
  const faults: Finding[] = [];
  if (region !== '' && !Object.hasOwn(AWS_REGIONS, region)) {
    faults.push({ ...at, problem: `Region ${region} is no region`, right: Object.keys(AWS_REGIONS).join(', ') });
  }
  const siblings = records.filter(
    (other) =>
      other.resource !== resource &&
      nameOf(other) === nameOf(record) &&
      textAt(other.resource.properties, 'Type') === textAt(properties, 'Type'),
  );
  const routing = routingOf(resource);
  const different = siblings.find((other) => routingOf(other.resource) !== routing);
  if (different) {
    const problem = `${nameOf(record)} is routed by ${routing} here and by ${routingOf(different.resource)} in ${different.stack.name}`;
    faults.push({ ...at, problem, right: 'one routing policy for a name' });
  }
  for (const property of ['SetIdentifier', 'Region', 'Failover']) {
    const value = textAt(properties, property);
    const twin = siblings.find((other) => value !== '' && textAt(other.resource.properties, property) === value);
    if (twin)
      faults.push({
        ...at,
        problem: `${nameOf(record)} has ${property} ${value} in ${twin.stack.name} too`,
        right: 'one of its own',
      });
  }
  if (routing !== 'simple' && textAt(properties, 'SetIdentifier') === '') {
    faults.push({ ...at, problem: `is routed by ${routing} without SetIdentifier`, right: 'SetIdentifier' });
  }
  if (
    routing === 'Failover' &&
    textAt(properties, 'Failover') === 'PRIMARY' &&
    textAt(properties, 'HealthCheckId') === ''
  ) {
    faults.push({ ...at, problem: 'a primary record without health check never gives way', right: 'HealthCheckId' });
  }
  return faults;
}

function routingOf({ properties }: CheckedResource): string {
  return ROUTING.find((property) => at(properties, property) !== undefined) ?? 'simple';
}

/** CloudFront refuses an origin whose certificate lacks the name that it asked for, wherever DNS has led it. */
function certificateFaults(assembly: CheckedAssembly, records: readonly Placed[]): Finding[] {
  const origins = resourcesOf(assembly, 'AWS::CloudFront::Distribution').flatMap(({ resource }) =>
    listAt(resource.properties, 'DistributionConfig', 'Origins').filter(
      (origin) => textAt(origin, 'CustomOriginConfig', 'OriginProtocolPolicy') === 'https-only',
    ),
  );
  const names = [...new Set(origins.map((origin) => textAt(origin, 'DomainName').toLowerCase()))];
  return names.flatMap((name) => {
    const balancers = balancersBehind(name, records, new Set());
    if (balancers.length === 0) {
      const [distribution] = resourcesOf(assembly, 'AWS::CloudFront::Distribution');
      const at = { stack: distribution?.stack.name ?? '', resource: distribution?.resource.logicalId ?? '' };
      return [{ ...at, problem: `its origin ${name} leads to no load balancer`, right: 'a record for it' }];
    }
    return balancers
      .filter((balancer) => !certificateNames(balancer).some((pattern) => covers(pattern, name)))
      .map(({ stack, resource }) => ({
        stack: stack.name,
        resource: resource.logicalId,
        problem: `DNS can lead ${name} here, but the certificate does not name it: CloudFront answers 502`,
        right: `a certificate that covers ${name}`,
      }));
  });
}

/** Load balancers that a name can lead to, through aliases to other names and records. */
function balancersBehind(name: string, records: readonly Placed[], seen: Set<CheckedResource>): Placed[] {
  return records
    .filter((record) => nameOf(record) === name && !seen.has(record.resource))
    .flatMap((record): Placed[] => {
      seen.add(record.resource);
      const { stack, resource } = record;
      const target = textAt(resource.properties, 'AliasTarget', 'DNSName');
      const [, balancerId] = /<([A-Za-z0-9]+)\.DNSName>/.exec(target) ?? [];
      const balancer = stack.resources.find(({ logicalId }) => logicalId === balancerId);
      if (balancer) return [{ stack, resource: balancer }];
      const alias = stack.resources.find(({ ref }) => ref === target);
      const next = alias ? nameOf({ stack, resource: alias }) : target.replace(/\.$/, '').toLowerCase();
      return balancersBehind(next, records, new Set(seen));
    })
    .filter((found, index, all) => all.findIndex(({ resource }) => resource === found.resource) === index);
}

function certificateNames({ stack, resource }: Placed): string[] {
  const listeners = stack.resources.filter(
    ({ type, properties }) =>
      type === 'AWS::ElasticLoadBalancingV2::Listener' && textAt(properties, 'LoadBalancerArn') === resource.ref,
  );
  const arns = listeners.flatMap(({ properties }) =>
    listAt(properties, 'Certificates').map((certificate) => textAt(certificate, 'CertificateArn')),
  );
  return stack.resources
    .filter(({ ref }) => arns.includes(ref))
    .flatMap(({ properties }) => [textAt(properties, 'DomainName'), ...textsAt(properties, 'SubjectAlternativeNames')]);
}

/** A wildcard stands for one label. Source: RFC 9525, section 6.3. */
function covers(pattern: string, name: string): boolean {
  return pattern === name || (pattern.startsWith('*.') && pattern.slice(2) === name.split('.').slice(1).join('.'));
}
