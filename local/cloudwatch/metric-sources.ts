import type { MetricId } from './metric-store';

const OF_BALANCER = 'LoadBalancer';
const OF_GROUP = 'LoadBalancer, TargetGroup';

/** What load balancers of this machine measure, and by which dimensions; see `local/elb/balancer-metrics.ts`. */
const LOAD_BALANCER_METRICS = {
  RequestCount: [OF_BALANCER, OF_GROUP],
  TargetResponseTime: [OF_BALANCER, OF_GROUP],
  HTTPCode_Target_2XX_Count: [OF_BALANCER, OF_GROUP],
  HTTPCode_Target_3XX_Count: [OF_BALANCER, OF_GROUP],
  HTTPCode_Target_4XX_Count: [OF_BALANCER, OF_GROUP],
  HTTPCode_Target_5XX_Count: [OF_BALANCER, OF_GROUP],
  HTTPCode_ELB_5XX_Count: [OF_BALANCER],
  HealthyHostCount: [OF_GROUP],
  UnHealthyHostCount: [OF_GROUP],
} as const satisfies Record<string, readonly string[]>;
export type LoadBalancerMetric = keyof typeof LOAD_BALANCER_METRICS;

/** Namespace of the metrics of load balancers. */
export const LOAD_BALANCERS = 'AWS/ApplicationELB';

/** AWS's own metrics that nothing here measures: their alarms see no data, as on AWS before anything has happened. */
const SILENT = [
  'AWS/Billing',
  'AWS/CertificateManager',
  'AWS/CloudFront',
  'AWS/ElastiCache',
  'AWS/Lambda',
  'AWS/SQS',
  'AWS/WAFV2',
];

/**
 * Makes sure that an alarm's metric is measured here, or is known not to be.
 *
 * @throws Error for a metric of AWS of which neither is so; what programs report themselves is their own matter
 */
export function requireSource({ namespace, name, dimensions }: MetricId): void {
  if (namespace === LOAD_BALANCERS) {
    const measured: Readonly<Record<string, readonly string[]>> = LOAD_BALANCER_METRICS;
    const by = measured[name];
    if (!by) {
      const known = Object.keys(measured).join(', ');
      throw new Error(`metric ${namespace} ${name} is not measured here; these are: ${known}`);
    }
    const asked = Object.keys(dimensions).sort().join(', ');
    if (!by.includes(asked)) {
      throw new Error(
        `metric ${namespace} ${name} is measured by the dimensions ${by.join(' or by ')}, not by ${asked || 'none'}`,
      );
    }
  } else if (namespace.startsWith('AWS/') && !SILENT.includes(namespace)) {
    throw new Error(`metrics of ${namespace} are not measured here, and an alarm over them would never fire`);
  }
}
