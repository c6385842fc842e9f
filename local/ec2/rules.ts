import { z } from 'zod';

const EVERY_ADDRESS = ['0.0.0.0/0', '::/0'];
const PORTS = { from: 0, to: 65_535 };

const RuleProperties = z.strictObject({
  IpProtocol: z.coerce.string(),
  FromPort: z.coerce.number().int().optional(),
  ToPort: z.coerce.number().int().optional(),
  CidrIp: z.string().optional(),
  CidrIpv6: z.string().optional(),
  SourcePrefixListId: z.string().optional(),
  SourceSecurityGroupId: z.string().optional(),
  DestinationSecurityGroupId: z.string().optional(),
  Description: z.string().optional(),
});

/** One rule of a security group for TCP. */
export interface Rule {
  readonly ports: { readonly from: number; readonly to: number };
  /** The other side: everybody, members of a group, or the addresses of a prefix list. */
  readonly peer:
    | { readonly kind: 'everybody' }
    | { readonly kind: 'group'; readonly id: string }
    | { readonly kind: 'prefix list'; readonly id: string };
}

/**
 * Reads a rule. Format: `Ingress` and `Egress` of AWS::EC2::SecurityGroup.
 *
 * @returns `undefined` for a rule of another protocol than TCP, which no connection here uses.
 * @throws on an address range other than all addresses: processes of this machine have no addresses of their own.
 */
export function parseRule(properties: unknown, where: string): Rule | undefined {
  const parsed = RuleProperties.safeParse(properties);
  if (!parsed.success) throw new Error(`${where}: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`);
  const { IpProtocol, FromPort, ToPort } = parsed.data;
  if (!['-1', 'tcp', '6'].includes(IpProtocol)) return undefined;
  // AWS ignores the ports of a rule for all protocols.
  const all = IpProtocol === '-1' || (FromPort === undefined && ToPort === undefined);
  const ports = all ? PORTS : { from: FromPort ?? 0, to: ToPort ?? FromPort ?? 0 };
  if (ports.from > ports.to) throw new Error(`${where}: FromPort ${ports.from} must not be above ToPort ${ports.to}`);
  return { ports, peer: peerOf(parsed.data, where) };
}

function peerOf(rule: z.infer<typeof RuleProperties>, where: string): Rule['peer'] {
  const group = rule.SourceSecurityGroupId ?? rule.DestinationSecurityGroupId;
  const cidr = rule.CidrIp ?? rule.CidrIpv6;
  const given = [group, cidr, rule.SourcePrefixListId].filter((side) => side !== undefined);
  if (given.length !== 1)
    throw new Error(`${where}: a rule names exactly one other side, this one names ${given.length}`);
  if (group !== undefined) return { kind: 'group', id: group };
  if (rule.SourcePrefixListId !== undefined) return { kind: 'prefix list', id: rule.SourcePrefixListId };
  if (cidr !== undefined && EVERY_ADDRESS.includes(cidr)) return { kind: 'everybody' };
  throw new Error(
    `${where}: the addresses ${cidr} cannot be told apart on this machine; understood are ${EVERY_ADDRESS.join(', ')}, groups and CloudFront's prefix list`,
  );
}
