import type { Stack } from '../../local/engine/assembly';
import { globalPrice } from './price-list';
import { type Cost, RULES } from './resource-rules';

/** What a stack costs a month at rest, USD. */
export interface StackCost {
  readonly stackName: string;
  readonly region: string;
  /** Added up by what is paid for, dearest first. */
  readonly costs: readonly Cost[];
  /** Of all costs that have a price. */
  readonly total: number;
}

/** What an assembly costs a month at rest. */
export interface MonthlyCost {
  readonly stacks: readonly StackCost[];
  readonly total: number;
  /** What is paid for at rest but has no price in the list: missing from the sums. */
  readonly unpriced: readonly string[];
  /** Types of resources that cost by use, which is not part of this. */
  readonly byUse: readonly string[];
}

/** USD of one line; 0 where it has no price. */
export function amount({ count, each = 0 }: Cost): number {
  return count * each;
}

/**
 * Prices everything that the templates of an assembly keep running, without any use of it.
 * @throws Error naming stack and resource for a type of which it is not known what it costs
 */
export function monthlyCost(assembly: readonly Stack[]): MonthlyCost {
  const byUse = new Set<string>();
  const stacks = assembly.map((stack) => stackCost(stack, byUse));
  const lines = stacks.flatMap(({ region, costs }) => costs.map((cost) => ({ ...cost, region })));
  const unpriced = lines.filter(({ each }) => each === undefined).map(({ what, region }) => `${what} in ${region}`);
  return {
    stacks,
    total: stacks.reduce((sum, { total }) => sum + total, 0),
    unpriced: [...new Set(unpriced)].toSorted(),
    byUse: [...byUse].toSorted(),
  };
}

function stackCost({ id, stackName, region, template }: Stack, byUse: Set<string>): StackCost {
  const resources = Object.entries(template.Resources);
  const costs = resources.flatMap(([logicalId, { Type, Properties = {} }]) => {
    const rule = RULES[Type];
    if (rule === undefined) throw new Error(`${id}/${logicalId}: what a ${Type} costs is not known; add a rule`);
    if (rule === 'by use') byUse.add(Type);
    if (typeof rule === 'string') return [];
    const referred = (reference: unknown) => {
      const name = (reference as { Ref?: string } | undefined)?.Ref ?? '';
      return template.Resources[name]?.Properties ?? {};
    };
    return rule({ properties: Properties, region, referred });
  });
  const zones = hostedZones(resources.map(([, resource]) => resource));
  const all = addUp(zones > 0 && isGlobal(resources.map(([, { Type }]) => Type)) ? [...costs, zoneCost(zones)] : costs);
  return { stackName, region, costs: all, total: all.reduce((sum, cost) => sum + amount(cost), 0) };
}

/** The zone is not made by a template; it is counted where the distribution is. */
function isGlobal(types: readonly string[]): boolean {
  return types.includes('AWS::CloudFront::Distribution');
}

function zoneCost(count: number): Cost {
  return { what: 'hosted zone', count, each: globalPrice('hostedZoneMonth') };
}

function hostedZones(resources: readonly { Type: string; Properties?: Readonly<Record<string, unknown>> }[]): number {
  const records = resources.filter(({ Type }) => Type === 'AWS::Route53::RecordSet');
  return new Set(records.map(({ Properties }) => JSON.stringify(Properties?.HostedZoneId))).size;
}

function addUp(costs: readonly Cost[]): Cost[] {
  const sums = new Map<string, Cost>();
  for (const cost of costs) {
    const key = JSON.stringify([cost.what, cost.each]);
    sums.set(key, { ...cost, count: cost.count + (sums.get(key)?.count ?? 0) });
  }
  return [...sums.values()].toSorted((a, b) => amount(b) - amount(a));
}
