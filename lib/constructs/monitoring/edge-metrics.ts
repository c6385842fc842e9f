import { Duration } from 'aws-cdk-lib';
import { type IMetric, MathExpression, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import {
  type DEPLOYMENT_METRICS,
  LIVE_TASKS,
  METRICS_NAMESPACE,
  type MetricTier,
  type RegionMetric,
  type TierMetric,
} from '../../core/cloudwatch-metrics';

const MINUTE = Duration.minutes(1);

/** What is asked of a metric beside its name. */
interface Query {
  /** `Sum` unless said. */
  readonly statistic?: string;
  /** A minute unless said. */
  readonly period?: Duration;
  readonly label?: string;
}

/** The metrics that the edge tasks of one region report (`lib/core/cloudwatch-metrics.ts`). */
export class EdgeMetrics {
  constructor(
    private readonly environment: string,
    private readonly region: string,
  ) {}

  ofRegion(metricName: RegionMetric, query: Query = {}): Metric {
    return this.metric(metricName, {}, query);
  }

  /** What the tasks of one deployment of the service report. */
  ofDeployment(deployment: string, metricName: (typeof DEPLOYMENT_METRICS)[number], query: Query = {}): Metric {
    return this.metric(metricName, { Deployment: deployment }, query);
  }

  ofTier(tier: MetricTier, metricName: TierMetric, query: Query = {}): Metric {
    return this.metric(metricName, { Tier: tier }, { label: tier, ...query });
  }

  /** Requests answered by a cache tier, percent of all that were looked up; `tier` alone, or all three. */
  hitRate(tier?: MetricTier): IMetric {
    const tiers = ['memory', 'l1', 'l2', 'origin'] as const;
    const usingMetrics = Object.fromEntries(tiers.map((each) => [each, this.ofTier(each, 'TierRequests')]));
    const hits = tier ?? '(memory + l1 + l2)';
    return new MathExpression({
      expression: `100 * ${hits} / (memory + l1 + l2 + origin)`,
      usingMetrics,
      label: tier ?? 'all tiers',
      period: MINUTE,
    });
  }

  /** Tasks in which each version of each model is live, a line each. */
  liveVersions(): IMetric {
    const dimensions = `${METRICS_NAMESPACE},Environment,Region,Model,Version`;
    const filter = `Environment="${this.environment}" Region="${this.region}" MetricName="${LIVE_TASKS}"`;
    return new MathExpression({
      expression: `SEARCH('{${dimensions}} ${filter}', '${Stats.SUM}', ${MINUTE.toSeconds()})`,
      usingMetrics: {},
      label: `\${PROP('Dim.Model')} \${PROP('Dim.Version')}`,
      period: MINUTE,
    });
  }

  private metric(metricName: string, dimensions: Readonly<Record<string, string>>, query: Query): Metric {
    const { statistic = Stats.SUM, period = MINUTE, label } = query;
    return new Metric({
      namespace: METRICS_NAMESPACE,
      metricName,
      dimensionsMap: { Environment: this.environment, Region: this.region, ...dimensions },
      statistic,
      period,
      ...(label === undefined ? {} : { label }),
    });
  }
}

/** Metrics of a region's Valkey, node by node. */
export class ValkeyMetrics {
  private readonly nodes: readonly string[];

  /** @param nodes number of nodes of the replication group, primary and replicas */
  constructor(replicationGroupId: string, nodes: number) {
    // ElastiCache names the nodes of a group that is not clustered so.
    this.nodes = Array.from(
      { length: nodes },
      (_, index) => `${replicationGroupId}-${String(index + 1).padStart(3, '0')}`,
    );
  }

  /** The greatest value of any node; one without a value, such as a primary's replication lag, counts as 0. */
  greatest(metricName: string, period = MINUTE): IMetric {
    return this.over('MAX', metricName, Stats.MAXIMUM, period);
  }

  /** The values of all nodes together. */
  total(metricName: string, period = MINUTE): IMetric {
    return this.over('SUM', metricName, Stats.SUM, period);
  }

  private over(aggregate: 'MAX' | 'SUM', metricName: string, statistic: string, period: Duration): IMetric {
    // Ids must differ wherever two of these stand in one expression or graph.
    const ids = this.nodes.map((_, index) => `${aggregate.toLowerCase()}${metricName}${index}`);
    const usingMetrics = Object.fromEntries(
      this.nodes.map((CacheClusterId, index) => [
        `${ids[index]}`,
        new Metric({ namespace: 'AWS/ElastiCache', metricName, dimensionsMap: { CacheClusterId }, statistic, period }),
      ]),
    );
    const filled = ids.map((id) => `FILL(${id}, 0)`);
    return new MathExpression({
      expression: `${aggregate}([${filled.join(', ')}])`,
      usingMetrics,
      label: metricName,
      period,
    });
  }
}
