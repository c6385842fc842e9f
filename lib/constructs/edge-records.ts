import type { ILoadBalancerV2 } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import {
  ARecord,
  Failover,
  HealthCheck,
  type IAliasRecordTarget,
  type IHostedZone,
  RecordTarget,
} from 'aws-cdk-lib/aws-route53';
import { LoadBalancerTarget, Route53RecordTarget } from 'aws-cdk-lib/aws-route53-targets';
import { Construct } from 'constructs';
import type { RegionCode } from '../core/regions';

/** Name under which CloudFront reaches the nearest healthy region. */
export function originHostname(domain: string): string {
  return `origin.${domain}`;
}

/** Name under which CloudFront reaches the region next to the one that failed. */
export function failoverHostname(domain: string): string {
  return `failover.${domain}`;
}

/** Name under which CloudFront reaches one region, and while that is unhealthy whichever is nearest. */
export function regionHostname(domain: string, region: RegionCode): string {
  return `${region}.${originHostname(domain)}`;
}

/**
 * Every region's own name, as a certificate states it: while a region is unhealthy its name leads to another's load
 * balancer, and CloudFront refuses an origin whose certificate lacks the name that it asked for.
 */
export function anyRegionHostname(domain: string): string {
  return `*.${originHostname(domain)}`;
}

export interface EdgeRecordsProps {
  readonly zone: IHostedZone;
  readonly domain: string;
  readonly region: RegionCode;
  /** Regions whose failing requests come here: those to which this region is the nearest other one. */
  readonly failingOverHere: readonly RegionCode[];
  readonly loadBalancer: ILoadBalancerV2;
  /** Health check of the whole region. */
  readonly healthCheckId: string;
}

/**
 * One region's part in DNS. `origin.<domain>` leads callers near this region to its load balancer; `failover.<domain>`
 * leads callers near a neighbour here instead. The neighbour's failover record stands in this region's stack, for it
 * points at this region's load balancer: no reference crosses regions. `<region>.origin.<domain>` leads here from
 * anywhere. A load balancer without a healthy task, and a region whose health check fails, leaves all three by itself;
 * the last then leads to the nearest healthy region, so a request sent here by score still arrives.
 */
export class EdgeRecords extends Construct {
  constructor(scope: Construct, id: string, props: EdgeRecordsProps) {
    super(scope, id);
    const { zone, domain } = props;
    const healthCheck = HealthCheck.fromHealthCheckId(this, 'Health', props.healthCheckId);
    const target = RecordTarget.fromAlias(new LoadBalancerTarget(props.loadBalancer, { evaluateTargetHealth: true }));
    const addRecord = (recordId: string, recordName: string, region: RegionCode, servedBy: string) =>
      new ARecord(this, recordId, { zone, recordName, target, region, healthCheck, setIdentifier: servedBy });

    const nearest = addRecord('Origin', originHostname(domain), props.region, props.region);
    for (const region of props.failingOverHere) {
      addRecord(`Failover-${region}`, failoverHostname(domain), region, `${region}-to-${props.region}`);
    }

    const recordName = regionHostname(domain, props.region);
    new ARecord(this, 'Region', {
      zone,
      recordName,
      target,
      healthCheck,
      failover: Failover.PRIMARY,
      setIdentifier: props.region,
    });
    const elsewhere = new ARecord(this, 'RegionAway', {
      zone,
      recordName,
      target: RecordTarget.fromAlias(whileHealthy(nearest)),
      failover: Failover.SECONDARY,
      setIdentifier: `nearest-but-${props.region}`,
    });
    elsewhere.node.addDependency(nearest);
  }
}

/** An alias to another record of the zone that counts as unhealthy when that leads nowhere; CDK's own never does. */
function whileHealthy(record: ARecord): IAliasRecordTarget {
  const alias = new Route53RecordTarget(record);
  return { bind: (source, zone) => ({ ...alias.bind(source, zone), evaluateTargetHealth: true }) };
}
