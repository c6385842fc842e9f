import type { CheckedStack } from './assembly';
import { type JsonObject, listAt, numberAt, textAt } from './json';

/** One rule of a security group. */
export interface SecurityRule {
  /** Resource that holds it. */
  readonly resource: string;
  /** The group's id, as `<logical id.GroupId>`. */
  readonly group: string;
  readonly direction: 'in' | 'out';
  readonly protocol: string;
  readonly from: number;
  readonly to: number;
  /** The other side: a group's id, a prefix list's id, or an address range. */
  readonly peer: string;
}

const ANY_ADDRESS = ['0.0.0.0/0', '::/0'];

/** CDK's way to say "nothing": a rule for one address that no packet has, which takes EC2's default rule away. */
const NOWHERE = '255.255.255.255/32';

/**
 * Every rule of a stack, those that stand alone included, and EC2's default for what leaves, which the first rule takes
 * away, also one that stands alone. Source: github.com/aws/aws-cdk, issue 987.
 */
export function securityRules({ resources }: CheckedStack): SecurityRule[] {
  const explicit = resources.flatMap(({ type, logicalId, properties }): SecurityRule[] => {
    const own = `<${logicalId}.GroupId>`;
    if (type === 'AWS::EC2::SecurityGroup') {
      return (['in', 'out'] as const).flatMap((direction) =>
        listAt(properties, direction === 'in' ? 'SecurityGroupIngress' : 'SecurityGroupEgress').map((rule) =>
          ruleOf(logicalId, own, direction, rule as JsonObject),
        ),
      );
    }
    const group = textAt(properties, 'GroupId');
    if (type === 'AWS::EC2::SecurityGroupIngress') return [ruleOf(logicalId, group, 'in', properties)];
    if (type === 'AWS::EC2::SecurityGroupEgress') return [ruleOf(logicalId, group, 'out', properties)];
    return [];
  });
  const groups = resources.filter(({ type }) => type === 'AWS::EC2::SecurityGroup');
  const open = groups
    .map(({ logicalId }) => ({ resource: logicalId, group: `<${logicalId}.GroupId>` }))
    .filter(({ group }) => !explicit.some((rule) => rule.group === group && rule.direction === 'out'))
    .map((rule) => ({ ...rule, direction: 'out' as const, protocol: '-1', from: 0, to: 65_535, peer: '0.0.0.0/0' }));
  return [...explicit, ...open].filter(({ peer }) => peer !== NOWHERE);
}

function ruleOf(resource: string, group: string, direction: 'in' | 'out', properties: JsonObject): SecurityRule {
  const protocol = textAt(properties, 'IpProtocol');
  const side = direction === 'in' ? 'Source' : 'Destination';
  return {
    resource,
    group,
    direction,
    protocol,
    from: protocol === '-1' ? 0 : (numberAt(properties, 'FromPort') ?? 0),
    to: protocol === '-1' ? 65_535 : (numberAt(properties, 'ToPort') ?? 65_535),
    peer:
      ['CidrIp', 'CidrIpv6', `${side}SecurityGroupId`, `${side}PrefixListId`]
        .map((name) => textAt(properties, name))
        .find((value) => value !== '') ?? '',
  };
}

/** Whether a rule lets TCP to `port` through, to or from `peer`. */
export function admits(rule: SecurityRule, peer: string, port: number): boolean {
  return isTcp(rule) && rule.from <= port && port <= rule.to && (rule.peer === peer || ANY_ADDRESS.includes(rule.peer));
}

/** Whether a rule lets TCP to `port` through, to or from `peer`, and nothing else. */
export function admitsOnly(rule: SecurityRule, peer: string, port: number): boolean {
  return rule.protocol !== '-1' && isTcp(rule) && rule.from === port && rule.to === port && rule.peer === peer;
}

function isTcp({ protocol }: SecurityRule): boolean {
  return ['-1', 'tcp', '6'].includes(protocol);
}
