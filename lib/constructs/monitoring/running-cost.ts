import { Duration } from 'aws-cdk-lib';
import { type IMetric, MathExpression } from 'aws-cdk-lib/aws-cloudwatch';
import type { RegionConfig } from '../../config';
import prices from '../../config/prices.json';

type RegionalPrices = Readonly<Record<string, number>>;

/** Ephemeral storage that every Fargate task has without extra charge, GiB. */
const FREE_STORAGE_GIB = 20;

const VCPU = 1024;

/** What a region's running parts cost by the hour, USD. */
export interface HourlyCost {
  readonly ofOneTask: number;
  /** Load balancer, Valkey and NAT gateways. */
  readonly fixed: number;
  /** Parts for which there is no price in the table; they are missing from the sums, not free. */
  readonly unpriced: readonly string[];
}

/** Computes the hourly cost of a region by the price table; traffic is not part of it. */
export function hourlyCost({ region, edge, cache, availabilityZones }: RegionConfig, natGateways: number): HourlyCost {
  const unpriced: string[] = [];
  const price = (part: string, table: RegionalPrices | undefined): number => {
    const found = table?.[region];
    if (found === undefined) unpriced.push(part);
    return found ?? 0;
  };
  const nodePrices: Readonly<Record<string, RegionalPrices>> = prices.valkeyNodeHour;
  const ofOneTask =
    (edge.cpu / VCPU) * price('Fargate vCPU', prices.fargateVcpuHour) +
    (edge.memoryMiB / 1024) * price('Fargate memory', prices.fargateGbHour) +
    Math.max(0, edge.ephemeralStorageGiB - FREE_STORAGE_GIB) * price('Fargate storage', prices.ephemeralGbHour);
  const fixed =
    price('load balancer', prices.loadBalancerHour) +
    (1 + cache.replicas) * price(`Valkey ${cache.nodeType}`, nodePrices[cache.nodeType]) +
    Math.min(natGateways, availabilityZones) * price('NAT gateway', prices.natGatewayHour);
  return { ofOneTask, fixed, unpriced };
}

/**
 * Running cost of a million requests, USD, hour by hour.
 * @param tasks average number of tasks
 * @param requests requests answered
 */
export function costPerMillion({ ofOneTask, fixed }: HourlyCost, tasks: IMetric, requests: IMetric): IMetric {
  return new MathExpression({
    expression: `1000000 * (${ofOneTask.toPrecision(6)} * tasks + ${fixed.toPrecision(6)}) / requests`,
    usingMetrics: { tasks, requests },
    label: 'USD per million requests',
    period: Duration.hours(1),
  });
}
