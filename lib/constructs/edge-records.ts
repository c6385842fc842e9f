import type { ILoadBalancerV2 } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { ARecord, type IHostedZone, RecordTarget } from 'aws-cdk-lib/aws-route53';
import { LoadBalancerTarget } from 'aws-cdk-lib/aws-route53-targets';
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

export interface EdgeRecordsProps {
  readonly zone: IHostedZone;
  readonly domain: string;
  readonly region: RegionCode;
  /** Regions whose failing requests come here: those to which this region is the nearest other one. */
  readonly failingOverHere: readonly RegionCode[];
  readonly loadBalancer: ILoadBalancerV2;
}

/**
 * One region's part in latency routing. `origin.<domain>` leads callers near this region to its load balancer;
 * `failover.<domain>` leads callers near a neighbour here instead. The neighbour's failover record stands in this
 * region's stack, for it points at this region's load balancer: no reference crosses regions. A load balancer without a
 * healthy task leaves DNS by itself.
 */
export class EdgeRecords extends Construct {
  constructor(scope: Construct, id: string, props: EdgeRecordsProps) {
    super(scope, id);
    const target = RecordTarget.fromAlias(new LoadBalancerTarget(props.loadBalancer, { evaluateTargetHealth: true }));
    const addRecord = (recordId: string, recordName: string, region: RegionCode, servedBy: string) =>
      new ARecord(this, recordId, { zone: props.zone, recordName, target, region, setIdentifier: servedBy });

    addRecord('Origin', originHostname(props.domain), props.region, props.region);
    for (const region of props.failingOverHere) {
      addRecord(`Failover-${region}`, failoverHostname(props.domain), region, `${region}-to-${props.region}`);
    }
  }
}
