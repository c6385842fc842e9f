import { LOAD_BALANCERS, type LoadBalancerMetric } from '../cloudwatch/metric-sources';
import type { MetricStore } from '../cloudwatch/metric-store';
import type { TargetGroup } from './target-group';

/** What is told of one request that a load balancer forwards. */
export interface ForwardMeasure {
  /** A target was found for it. */
  chosen(): void;
  /** The target answered; `seconds` from the request's leaving to the head of its answer. */
  answered(status: number, seconds: number): void;
  /** The load balancer had to answer in the target's place. */
  failed(status: number): void;
}

/**
 * A load balancer's metrics. As on AWS, counts that would be zero are not told.
 * Source: Elastic Load Balancing, "CloudWatch metrics for your Application Load Balancer".
 */
export class BalancerMetrics {
  /** @param loadBalancer full name, as metrics carry it: `app/name/id` */
  constructor(
    private readonly store: MetricStore,
    private readonly region: string,
    private readonly loadBalancer: string,
  ) {}

  forwardTo(group: TargetGroup): ForwardMeasure {
    const both = [{}, { TargetGroup: group.fullName }];
    return {
      chosen: () => this.put('RequestCount', 1, both),
      answered: (status, seconds) => {
        this.put('TargetResponseTime', seconds, both);
        const hundred = Math.floor(status / 100);
        if (hundred >= 2 && hundred <= 5) this.put(`HTTPCode_Target_${hundred as 2 | 3 | 4 | 5}XX_Count`, 1, both);
      },
      failed: (status) => {
        if (status >= 500) this.put('HTTPCode_ELB_5XX_Count', 1, [{}]);
      },
    };
  }

  /** Tells how many targets of a group are healthy, if it has any. @param at ms since 1970 */
  hosts(group: TargetGroup, at: number): void {
    const states = group.list().map(({ state }) => state);
    const healthy = states.filter((state) => state === 'healthy').length;
    const unhealthy = states.filter((state) => state === 'unhealthy').length;
    if (healthy + unhealthy === 0) return;
    const ofGroup = [{ TargetGroup: group.fullName }];
    this.put('HealthyHostCount', healthy, ofGroup, at);
    this.put('UnHealthyHostCount', unhealthy, ofGroup, at);
  }

  private put(
    name: LoadBalancerMetric,
    value: number,
    dimensions: readonly Readonly<Record<string, string>>[],
    at?: number,
  ): void {
    for (const more of dimensions) {
      const id = { region: this.region, namespace: LOAD_BALANCERS, name };
      const named = { ...id, dimensions: { LoadBalancer: this.loadBalancer, ...more } };
      this.store.put(named, { values: [value], counts: [1] }, at);
    }
  }
}
