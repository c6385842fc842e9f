import { z } from 'zod';
import { CLOUDFRONT_PREFIX_LISTS } from '../../lib/config/cloudfront-prefix-lists';
import { physicalId } from '../engine/physical-name';
import { parseProperties } from '../engine/properties';
import type { Resource, ResourceModule, Running } from '../engine/types';
import { parseRule, type Rule } from './rules';

const GroupProperties = z.object({
  GroupDescription: z.string(),
  GroupName: z.string().optional(),
  VpcId: z.string().optional(),
  SecurityGroupIngress: z.array(z.unknown()).default([]),
  SecurityGroupEgress: z.array(z.unknown()).default([]),
});
const SeparateRule = z.looseObject({ GroupId: z.string() });

/** Where a process is placed in a VPC. */
export interface NetworkInterface {
  /** For the log, e.g. `task edge 1a2b3c4d`. */
  readonly name: string;
  readonly region: string;
  /** Ids of its security groups; none given is the VPC's default group. */
  readonly groups: readonly string[];
}

/** The other end of a connection: in the VPC, one of CloudFront's POPs, one of Route 53's checkers, or anywhere else. */
export type Peer =
  | { readonly kind: 'interface'; readonly interface: NetworkInterface }
  | { readonly kind: 'cloudfront' }
  | { readonly kind: 'route53' }
  | { readonly kind: 'internet'; readonly name: string };

interface Group {
  readonly ingress: Rule[];
  readonly egress: Rule[];
  /** A group of which no egress rule was ever given keeps the one it is made with, which lets everything out. */
  egressGiven: boolean;
}

type Direction = 'ingress' | 'egress';

/** The VPC's own default group: its members reach each other and everything outside. */
const DEFAULT_GROUP = 'default';

/**
 * EC2's security groups, decided for each connection between processes: it needs an ingress rule on the side that is
 * connected to and an egress rule on the side that connects. Answers are let through, for security groups are stateful.
 * Source: Amazon VPC user guide, "Control traffic to your AWS resources using security groups".
 */
export class SecurityGroups {
  private readonly groups = new Map<string, Group>([
    [
      DEFAULT_GROUP,
      {
        ingress: [{ ports: { from: 0, to: 65_535 }, peer: { kind: 'group', id: DEFAULT_GROUP } }],
        egress: [],
        egressGiven: false,
      },
    ],
  ]);
  private readonly reported = new Set<string>();

  constructor(private readonly log: (line: string) => void) {}

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::EC2::SecurityGroup', start: async (resource) => this.startGroup(resource) },
    { type: 'AWS::EC2::SecurityGroupIngress', start: async (resource) => this.startRule(resource, 'ingress') },
    { type: 'AWS::EC2::SecurityGroupEgress', start: async (resource) => this.startRule(resource, 'egress') },
  ];

  /**
   * Whether `from` may open a TCP connection to `port` of `to`; one of the two is in a VPC. What is missing of a
   * connection that is dropped is logged once.
   */
  permits(from: Peer, to: Peer, port: number): boolean {
    const missing = this.missingRule(from, to, port);
    if (missing && !this.reported.has(missing)) {
      this.reported.add(missing);
      this.log(`security groups dropped ${nameOf(from)} -> ${nameOf(to)}:${port}: ${missing}`);
    }
    return missing === undefined;
  }

  private missingRule(from: Peer, to: Peer, port: number): string | undefined {
    const leaves = from.kind !== 'interface' || this.passes(from.interface, 'egress', to, port);
    if (!leaves) return `no egress rule of ${groupNames(from)} lets tcp ${port} out to ${describe(to)}`;
    const enters = to.kind !== 'interface' || this.passes(to.interface, 'ingress', from, port);
    if (!enters) return `no ingress rule of ${groupNames(to)} lets tcp ${port} in from ${describe(from)}`;
    return undefined;
  }

  private passes(place: NetworkInterface, direction: Direction, peer: Peer, port: number): boolean {
    return groupsOf(place).some((id) => {
      const group = this.groups.get(id);
      if (!group) throw new Error(`there is no security group ${id}`);
      if (direction === 'egress' && !group.egressGiven) return true;
      return group[direction].some(
        (rule) => rule.ports.from <= port && port <= rule.ports.to && isPeer(rule.peer, peer, place.region),
      );
    });
  }

  private startGroup(resource: Resource): Running {
    const properties = parseProperties(resource, GroupProperties);
    const id = physicalId('sg', resource);
    const rules = (list: readonly unknown[], name: string) =>
      list.flatMap((rule, index) => parseRule(rule, `${name}[${index}]`) ?? []);
    this.groups.set(id, {
      ingress: rules(properties.SecurityGroupIngress, 'SecurityGroupIngress'),
      egress: rules(properties.SecurityGroupEgress, 'SecurityGroupEgress'),
      egressGiven: properties.SecurityGroupEgress.length > 0,
    });
    return { ref: id, attributes: { GroupId: id, Id: id, VpcId: properties.VpcId } };
  }

  private startRule(resource: Resource, direction: Direction): Running {
    const { GroupId, ...rule } = SeparateRule.parse(resource.properties);
    const group = this.groups.get(GroupId);
    if (!group) throw new Error(`GroupId: there is no security group ${GroupId}`);
    const parsed = parseRule(rule, 'the rule');
    if (parsed) group[direction].push(parsed);
    if (direction === 'egress') group.egressGiven = true;
    const id = physicalId('sgr', resource);
    return { ref: id, attributes: { Id: id } };
  }
}

function groupsOf({ groups }: NetworkInterface): readonly string[] {
  return groups.length > 0 ? groups : [DEFAULT_GROUP];
}

function isPeer(wanted: Rule['peer'], peer: Peer, region: string): boolean {
  if (wanted.kind === 'everybody') return true;
  if (wanted.kind === 'group') return peer.kind === 'interface' && groupsOf(peer.interface).includes(wanted.id);
  // Of regions where AWS has published no id, the configuration's is believed.
  const published = (CLOUDFRONT_PREFIX_LISTS as Readonly<Record<string, string | undefined>>)[region];
  if (peer.kind === 'cloudfront') return published === undefined || published === wanted.id;
  // The only other list that templates name is the one of the region's checkers, whose ids AWS does not publish.
  return peer.kind === 'route53' && published !== wanted.id;
}

function groupNames(peer: Peer): string {
  return peer.kind === 'interface' ? groupsOf(peer.interface).join(', ') : nameOf(peer);
}

function describe(peer: Peer): string {
  return peer.kind === 'interface' ? groupNames(peer) : nameOf(peer);
}

function nameOf(peer: Peer): string {
  if (peer.kind === 'interface') return peer.interface.name;
  if (peer.kind === 'internet') return peer.name;
  return peer.kind === 'cloudfront' ? 'CloudFront' : 'the checkers of Route 53';
}
