import { CLOUDFRONT_PREFIX_LISTS } from '../config/cloudfront-prefix-lists';
import type { Check, Finding } from './finding';
import { textsAt } from './json';
import { securityRules } from './security-rules';

/** Rules that one security group may have in one direction, as accounts start. Source: VPC user guide, "Quotas". */
const MAX_RULES = 60;

/** Groups on one network interface, as accounts start. Source: ibid. */
const MAX_GROUPS = 5;

/** What a prefix list counts: its maximum number of entries. Source: VPC user guide, "AWS-managed prefix lists". */
const CLOUDFRONT_WEIGHT = 55;
const OTHER_LIST_WEIGHT = 25;

const CLOUDFRONT_LISTS: readonly string[] = Object.values(CLOUDFRONT_PREFIX_LISTS);

function weightOf(peer: string): number {
  if (!peer.startsWith('pl-')) return 1;
  return CLOUDFRONT_LISTS.includes(peer) ? CLOUDFRONT_WEIGHT : OTHER_LIST_WEIGHT;
}

/** A prefix list counts as many rules as it may have entries, so that few fit into one security group. */
export const securityGroupWeight: Check = {
  name: 'security-group-weight',
  run: ({ stacks }) =>
    stacks.flatMap((stack): Finding[] => {
      const sides = new Map<string, number>();
      for (const { group, direction, peer } of securityRules(stack)) {
        const side = `${group} ${direction}`;
        sides.set(side, (sides.get(side) ?? 0) + weightOf(peer));
      }
      const heavy = [...sides].filter(([, weight]) => weight > MAX_RULES);
      const crowded = stack.resources.filter(({ properties }) =>
        [textsAt(properties, 'SecurityGroups'), textsAt(properties, 'VpcConfig', 'SecurityGroupIds')].some(
          (groups) => groups.length > MAX_GROUPS,
        ),
      );
      return [
        ...heavy.map(([side, weight]) => ({
          stack: stack.name,
          resource: side.replace(/^<([^.]*).*$/, '$1'),
          problem: `its rules weigh ${weight}: a prefix list counts ${CLOUDFRONT_WEIGHT} (CloudFront) or ${OTHER_LIST_WEIGHT}`,
          right: `at most ${MAX_RULES}; put prefix lists into groups of their own`,
        })),
        ...crowded.map(({ logicalId }) => ({
          stack: stack.name,
          resource: logicalId,
          problem: 'has more security groups than a network interface may',
          right: `at most ${MAX_GROUPS}`,
        })),
      ];
    }),
};
