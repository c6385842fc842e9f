import {
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  type ElasticLoadBalancingV2Client,
  LoadBalancerNotFoundException,
  ModifyRuleCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { ORIGIN_KEY_HEADERS, type OriginKey } from '../../lib/core/origin-keys';

export interface EntrancesOptions {
  readonly client: (region: string) => ElasticLoadBalancingV2Client;
  /** Name of the load balancer, the same in every region. */
  readonly loadBalancerName: string;
  /** Regions that must have one; others may, while a deployment adds them. */
  readonly regions: readonly string[];
}

/** The rule by which a region's load balancer lets requests with a key through. */
export interface KeyRule {
  readonly region: string;
  readonly ruleArn: string;
  /** Accepted values of the key's header. */
  readonly values: readonly string[];
}

/** The load balancers of all regions, as far as they ask for origin keys. */
export class Entrances {
  constructor(private readonly options: EntrancesOptions) {}

  /**
   * The rule of a key in each region that has a load balancer.
   *
   * @param candidates further regions that may have one
   * @throws Error naming every region whose rule cannot be had
   */
  async rules(key: OriginKey, candidates: readonly string[]): Promise<KeyRule[]> {
    const regions = [...new Set([...this.options.regions, ...candidates])];
    const found = await inEach(regions, (region) => this.rule(key, region));
    return found.filter((rule) => rule !== undefined);
  }

  /**
   * Lets the rules accept exactly these values.
   * @returns whether anything had to be changed
   */
  async accept(key: OriginKey, rules: readonly KeyRule[], values: readonly string[]): Promise<boolean> {
    const wanted = new Set(values);
    const others = rules.filter((rule) => !sameValues(new Set(rule.values), wanted));
    await inEach(
      others.map(({ region }) => region),
      async (region) => {
        const rule = others.find((candidate) => candidate.region === region);
        await this.options.client(region).send(
          new ModifyRuleCommand({
            RuleArn: rule?.ruleArn,
            Conditions: [
              {
                Field: 'http-header',
                HttpHeaderConfig: { HttpHeaderName: ORIGIN_KEY_HEADERS[key], Values: [...wanted] },
              },
            ],
          }),
        );
        console.log(JSON.stringify({ event: 'rule-changed', key, region, accepts: wanted.size }));
      },
    );
    return others.length > 0;
  }

  private async rule(key: OriginKey, region: string): Promise<KeyRule | undefined> {
    const client = this.options.client(region);
    const LoadBalancerArn = await this.loadBalancerArn(region);
    if (LoadBalancerArn === undefined) return undefined;
    const { Listeners = [] } = await client.send(new DescribeListenersCommand({ LoadBalancerArn }));
    const lists = await Promise.all(
      Listeners.map(({ ListenerArn }) => client.send(new DescribeRulesCommand({ ListenerArn }))),
    );
    const header = ORIGIN_KEY_HEADERS[key];
    const rules = lists.flatMap(({ Rules = [] }) => Rules);
    const [rule, another] = rules.filter(({ Conditions = [] }) =>
      Conditions.some(({ HttpHeaderConfig }) => HttpHeaderConfig?.HttpHeaderName?.toLowerCase() === header),
    );
    const [condition, more] = rule?.Conditions ?? [];
    if (!rule?.RuleArn || another || more) {
      const what = rule ? 'more than one rule, or a rule with other conditions too,' : 'no rule';
      throw new Error(
        `${this.options.loadBalancerName} has ${what} for the header ${header}; one of its own is needed`,
      );
    }
    return { region, ruleArn: rule.RuleArn, values: condition?.HttpHeaderConfig?.Values ?? [] };
  }

  /** `undefined` in a region that need not have a load balancer and has none. */
  private async loadBalancerArn(region: string): Promise<string | undefined> {
    const { client, loadBalancerName, regions } = this.options;
    try {
      const command = new DescribeLoadBalancersCommand({ Names: [loadBalancerName] });
      const { LoadBalancers: [balancer] = [] } = await client(region).send(command);
      return balancer?.LoadBalancerArn;
    } catch (error) {
      if (error instanceof LoadBalancerNotFoundException && !regions.includes(region)) return undefined;
      throw error;
    }
  }
}

function sameValues(one: ReadonlySet<string>, another: ReadonlySet<string>): boolean {
  return one.size === another.size && [...one].every((value) => another.has(value));
}

/** Does one piece of work in each region at once. @throws Error naming every region in which it failed, and why */
async function inEach<T>(regions: readonly string[], work: (region: string) => Promise<T>): Promise<T[]> {
  const results = await Promise.allSettled(regions.map(work));
  const failures = results.flatMap((result, index) =>
    result.status === 'rejected' ? [`${regions[index]}: ${String(result.reason)}`] : [],
  );
  if (failures.length > 0) throw new Error(failures.join('; '));
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}
