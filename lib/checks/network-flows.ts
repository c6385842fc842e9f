import { CLOUDFRONT_PREFIX_LISTS } from '../config/cloudfront-prefix-lists';
import type { CheckedResource, CheckedStack } from './assembly';
import type { Check, Finding } from './finding';
import { listAt, numberAt, textAt, textsAt } from './json';
import { type Program, programsOf } from './programs';
import { admits, admitsOnly, type SecurityRule, securityRules } from './security-rules';

/** A connection that the system makes: groups on both sides, of which one pair must let it through. */
interface Flow {
  readonly resource: string;
  readonly what: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly port: number;
}

const ANYWHERE = '0.0.0.0/0';
const HTTP = 80;
const HTTPS = 443;

/** Every connection that the system makes is let through on both sides, and no rule lets through more. */
export const networkFlows: Check = {
  name: 'network-flows',
  run(assembly) {
    const programs = programsOf(assembly);
    return assembly.stacks.flatMap((stack) =>
      faultsOf(
        stack,
        programs.filter((program) => program.stack === stack),
      ),
    );
  },
};

function faultsOf(stack: CheckedStack, programs: readonly Program[]): Finding[] {
  const rules = securityRules(stack);
  const flows = [
    ...viewerFlows(stack),
    ...targetFlows(stack),
    ...programs.flatMap((program) => programFlows(stack, program)),
  ];
  const closed = flows
    .filter((flow) => !isOpen(rules, flow))
    .map((flow) => ({
      stack: stack.name,
      resource: flow.resource,
      problem: `${flow.what}: no security group lets TCP ${flow.port} from ${flow.from.join(', ')} to ${flow.to.join(', ')} through`,
      right: 'a rule on each side',
    }));
  return [
    ...closed,
    ...(closed.length > 0 ? [] : needlessRules(stack, rules, flows)),
    ...routeFaults(stack, programs),
    ...endpointFaults(stack, programs),
  ];
}

/** Whether one pair of groups lets the connection through on both sides. An address outside has no rules of ours. */
function isOpen(rules: readonly SecurityRule[], { from, to, port }: Flow): boolean {
  const passes = (group: string, direction: 'in' | 'out', peer: string) =>
    !isGroup(group) ||
    rules.some((rule) => rule.group === group && rule.direction === direction && admits(rule, peer, port));
  return from.some((source) => to.some((target) => passes(source, 'out', target) && passes(target, 'in', source)));
}

function isGroup(name: string): boolean {
  return name.startsWith('<');
}

/** Rules that let through more than one of the connections, and rules without which all of them would still be open. */
function needlessRules(stack: CheckedStack, rules: readonly SecurityRule[], flows: readonly Flow[]): Finding[] {
  const serves = (rule: SecurityRule, { from, to, port }: Flow) => {
    const [own, others] = rule.direction === 'in' ? [to, from] : [from, to];
    return own.includes(rule.group) && others.some((peer) => admitsOnly(rule, peer, port));
  };
  const exact = rules.filter((rule) => flows.some((flow) => serves(rule, flow)));
  const openByExact = flows.filter((flow) => isOpen(exact, flow));
  const needless = exact.filter((rule) => {
    const others = exact.filter((other) => other !== rule);
    return openByExact.every((flow) => isOpen(others, flow));
  });
  const text = ({ protocol, from, to, direction, peer }: SecurityRule) =>
    `lets ${protocol === '-1' ? 'everything' : `${protocol} ${from}-${to}`} ${direction} (${peer})`;
  const at = ({ resource }: SecurityRule) => ({ stack: stack.name, resource });
  return [
    ...rules
      .filter((rule) => !exact.includes(rule))
      .map((rule) => ({
        ...at(rule),
        problem: `${text(rule)}, which is more than any connection here needs`,
        right: `one port and one peer of ${[...new Set(flows.map(({ what, port }) => `${what} (TCP ${port})`))].join(', ')}`,
      })),
    ...needless.map((rule) => ({
      ...at(rule),
      problem: `${text(rule)}, but every connection is open without it`,
      right: 'no such rule',
    })),
  ];
}

/** CloudFront to each listener; Route 53's checkers too, where a health check asks the load balancer itself. */
function viewerFlows(stack: CheckedStack): Flow[] {
  const cloudFront = (CLOUDFRONT_PREFIX_LISTS as Readonly<Record<string, string>>)[stack.region] ?? ANYWHERE;
  const checked = ofType(stack, 'AWS::Route53::HealthCheck').some(({ properties }) =>
    textAt(properties, 'HealthCheckConfig', 'FullyQualifiedDomainName').startsWith('<'),
  );
  const otherLists = securityRules(stack)
    .map(({ peer }) => peer)
    .filter((peer) => peer.startsWith('pl-') && peer !== cloudFront);
  return ofType(stack, 'AWS::ElasticLoadBalancingV2::Listener').flatMap((listener): Flow[] => {
    const balancer = named(stack, textAt(listener.properties, 'LoadBalancerArn'));
    const flow = {
      resource: listener.logicalId,
      to: textsAt(balancer?.properties, 'SecurityGroups'),
      port: numberAt(listener.properties, 'Port') ?? HTTPS,
    };
    const checkers = otherLists.length > 0 ? otherLists : [ANYWHERE];
    return [
      { ...flow, what: 'CloudFront to the load balancer', from: [cloudFront] },
      ...(checked ? [{ ...flow, what: "Route 53's health checks to the load balancer", from: checkers }] : []),
    ];
  });
}

/** The load balancer to the tasks that are its targets. */
function targetFlows(stack: CheckedStack): Flow[] {
  const balancers = ofType(stack, 'AWS::ElasticLoadBalancingV2::LoadBalancer');
  return ofType(stack, 'AWS::ECS::Service').flatMap(({ logicalId, properties }) =>
    listAt(properties, 'LoadBalancers').map((target) => ({
      resource: logicalId,
      what: 'the load balancer to the tasks',
      from: balancers.flatMap((balancer) => textsAt(balancer.properties, 'SecurityGroups')),
      to: textsAt(properties, 'NetworkConfiguration', 'AwsvpcConfiguration', 'SecurityGroups'),
      port: numberAt(target, 'ContainerPort') ?? 0,
    })),
  );
}

/** A task or function to the caches that its variables name, and to AWS. */
function programFlows(stack: CheckedStack, program: Program): Flow[] {
  const { resource, environment } = program;
  const from = placesOf(stack, program).flatMap(({ groups }) => groups);
  if (from.length === 0) return [];
  const caches = ofType(stack, 'AWS::ElastiCache::ReplicationGroup').filter(({ logicalId }) =>
    Object.values(environment).some((value) => value.includes(`${logicalId.toLowerCase()}.`)),
  );
  return [
    ...caches.map(({ properties }) => ({
      resource: resource.logicalId,
      what: 'to Valkey',
      from,
      to: textsAt(properties, 'SecurityGroupIds'),
      port: numberAt(properties, 'Port') ?? 0,
    })),
    ...portsOutside(environment).map((port) => ({
      resource: resource.logicalId,
      what: 'to AWS and the HTTP origin',
      from,
      to: [ANYWHERE],
      port,
    })),
  ];
}

function portsOutside({ ORIGIN_URL }: Program['environment']): number[] {
  if (ORIGIN_URL === undefined || !URL.canParse(ORIGIN_URL)) return [HTTPS];
  const { protocol, port } = new URL(ORIGIN_URL);
  const standard = protocol === 'http:' ? HTTP : HTTPS;
  return [...new Set([HTTPS, port === '' ? standard : Number(port)])];
}

/** Where a program's network interfaces are; nowhere for a function outside the VPC. */
function placesOf(stack: CheckedStack, { resource, kind }: Program): { groups: string[]; subnets: string[] }[] {
  if (kind === 'function') {
    const config = resource.properties.VpcConfig;
    return [{ groups: textsAt(config, 'SecurityGroupIds'), subnets: textsAt(config, 'SubnetIds') }];
  }
  return ofType(stack, 'AWS::ECS::Service')
    .filter(({ properties }) => textAt(properties, 'TaskDefinition') === resource.ref)
    .map(({ properties }) => properties.NetworkConfiguration)
    .map((network) => ({
      groups: textsAt(network, 'AwsvpcConfiguration', 'SecurityGroups'),
      subnets: textsAt(network, 'AwsvpcConfiguration', 'Subnets'),
    }));
}

/** Subnets without the way out that what is in them needs. */
function routeFaults(stack: CheckedStack, programs: readonly Program[]): Finding[] {
  const needs = [
    ...programs.flatMap((program) =>
      placesOf(stack, program).flatMap(({ subnets }) =>
        subnets.map((subnet) => ({ subnet, by: program.resource, way: 'NatGatewayId', what: 'a NAT gateway' })),
      ),
    ),
    ...ofType(stack, 'AWS::ElasticLoadBalancingV2::LoadBalancer').flatMap((balancer) =>
      textsAt(balancer.properties, 'Subnets').map((subnet) => ({
        subnet,
        by: balancer,
        way: 'GatewayId',
        what: 'the internet gateway',
      })),
    ),
    ...ofType(stack, 'AWS::EC2::NatGateway').map((gateway) => ({
      subnet: textAt(gateway.properties, 'SubnetId'),
      by: gateway,
      way: 'GatewayId',
      what: 'the internet gateway',
    })),
  ];
  return needs
    .filter(({ subnet, way }) => !defaultRoutes(stack, subnet).some((route) => textAt(route.properties, way) !== ''))
    .map(({ subnet, by, what }) => ({
      stack: stack.name,
      resource: by.logicalId,
      problem: `is in the subnet ${subnet}, which has no default route to ${what}`,
      right: 'a subnet with one',
    }));
}

/** Models and image layers, nearly all the bytes, must not pay for NAT. */
function endpointFaults(stack: CheckedStack, programs: readonly Program[]): Finding[] {
  const tables = ofType(stack, 'AWS::EC2::VPCEndpoint')
    .filter(({ properties }) => textAt(properties, 'ServiceName').endsWith('.s3'))
    .flatMap(({ properties }) => textsAt(properties, 'RouteTableIds'));
  return programs
    .filter(({ kind }) => kind === 'task')
    .flatMap((program) =>
      placesOf(stack, program)
        .flatMap(({ subnets }) => subnets)
        .filter((subnet) => !tablesOf(stack, subnet).some((table) => tables.includes(table)))
        .map((subnet) => ({
          stack: stack.name,
          resource: program.resource.logicalId,
          problem: `reaches S3 from the subnet ${subnet} through NAT, which every byte of a model pays for`,
          right: 'the route table of the subnet in the gateway endpoint of S3',
        })),
    );
}

function tablesOf(stack: CheckedStack, subnet: string): string[] {
  return ofType(stack, 'AWS::EC2::SubnetRouteTableAssociation')
    .filter(({ properties }) => textAt(properties, 'SubnetId') === subnet)
    .map(({ properties }) => textAt(properties, 'RouteTableId'));
}

function defaultRoutes(stack: CheckedStack, subnet: string): CheckedResource[] {
  const tables = tablesOf(stack, subnet);
  return ofType(stack, 'AWS::EC2::Route').filter(
    ({ properties }) =>
      tables.includes(textAt(properties, 'RouteTableId')) && textAt(properties, 'DestinationCidrBlock') === ANYWHERE,
  );
}

function ofType({ resources }: CheckedStack, type: string): CheckedResource[] {
  return resources.filter((resource) => resource.type === type);
}

function named({ resources }: CheckedStack, ref: string): CheckedResource | undefined {
  return resources.find((resource) => resource.ref === ref);
}
