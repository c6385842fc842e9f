import { Duration } from 'aws-cdk-lib';
import { Dashboard, type IAlarm, type IMetric, MathExpression, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import { HIT_LATENCY_TARGET_SECONDS } from '../../core/cloudwatch-metrics';
import { burnRate } from './burn-rate';
import type { EdgeMetrics, ValkeyMetrics } from './edge-metrics';
import { availability, hitLatency, type RegionSources } from './region-alarms';
import { costPerMillion, type HourlyCost } from './running-cost';
import { alarmStates, type Graph, row, text } from './widgets';

const HOUR = Duration.hours(1);
const MINUTE = Duration.minutes(1);
const STORED = ['memory', 'l1', 'l2'] as const;
const ANSWERING = [...STORED, 'origin'] as const;

export interface RegionDashboardProps {
  readonly name: string;
  readonly sources: RegionSources;
  readonly alarms: readonly IAlarm[];
  readonly cost: HourlyCost;
  readonly clusterName: string;
  /** The ECS services whose tasks are the region's. */
  readonly serviceNames: readonly string[];
}

/** One region at a look: what callers get, what it costs, and how each part of the way fares. */
export function addRegionDashboard(scope: Construct, id: string, props: RegionDashboardProps): Dashboard {
  const { edge, valkey } = props.sources;
  const dashboard = new Dashboard(scope, id, { dashboardName: props.name, defaultInterval: Duration.hours(3) });
  dashboard.addWidgets(alarmStates('Alarms', props.alarms));
  dashboard.addWidgets(...row(...promises(props.sources)));
  dashboard.addWidgets(...row(traffic(edge), errors(edge), bandwidth(edge)));
  dashboard.addWidgets(...row(...(['p50', 'p95', 'p99'] as const).map((rank) => latency(edge, rank))));
  dashboard.addWidgets(...row(hitRates(edge), offload(edge), evictions(edge, valkey)));
  dashboard.addWidgets(...row(models(edge), workers(edge), invalidation(edge)));
  dashboard.addWidgets(...row(load(props), valkeyLoad(valkey), cost(props)));
  if (props.cost.unpriced.length > 0) {
    dashboard.addWidgets(
      text(`The cost lacks what the price table does not know here: ${props.cost.unpriced.join(', ')}.`),
    );
  }
  return dashboard;
}

function promises(sources: RegionSources): Graph[] {
  return [availability(sources), hitLatency(sources)].map((objective) => ({
    title: `${objective.promise}: burn rate`,
    metrics: [Duration.minutes(5), HOUR, Duration.hours(6)].map((window) => burnRate(objective, window)),
    unit: 'times the budget',
    limit: { value: 14.4, label: 'fast burn' },
  }));
}

function traffic(edge: EdgeMetrics): Graph {
  return {
    title: 'Requests a second, by tier',
    metrics: [...ANSWERING, 'none' as const].map((tier) => perSecond(edge.ofTier(tier, 'TierRequests'), tier)),
    unit: '1/s',
  };
}

function errors(edge: EdgeMetrics): Graph {
  const share = (label: string, name: 'ServerErrors' | 'ClientErrors') =>
    new MathExpression({
      expression: `100 * errors${label} / requests`,
      usingMetrics: { [`errors${label}`]: edge.ofRegion(name), requests: edge.ofRegion('Requests') },
      label,
      period: MINUTE,
    });
  return { title: 'Error rate', metrics: [share('5xx', 'ServerErrors'), share('4xx', 'ClientErrors')], unit: '%' };
}

function bandwidth(edge: EdgeMetrics): Graph {
  const bits = new MathExpression({
    expression: '8 * bytes / PERIOD(bytes)',
    usingMetrics: { bytes: edge.ofRegion('ResponseBytes') },
    label: 'answers',
    period: MINUTE,
  });
  return { title: 'Bandwidth', metrics: [bits], unit: 'bit/s' };
}

function latency(edge: EdgeMetrics, statistic: 'p50' | 'p95' | 'p99'): Graph {
  return {
    title: `Latency by tier, ${statistic}`,
    metrics: ANSWERING.map((tier) => edge.ofTier(tier, 'Latency', { statistic })),
    unit: 'ms',
    limit: { value: HIT_LATENCY_TARGET_SECONDS * 1000, label: 'objective for hits' },
  };
}

function hitRates(edge: EdgeMetrics): Graph {
  return {
    title: 'Hit rate by tier',
    metrics: [edge.hitRate(), ...STORED.map((tier) => edge.hitRate(tier))],
    unit: '%',
    max: 100,
  };
}

/** Share of look-ups for which nothing was computed or fetched; above the hit rate by what joined a fill of another. */
function offload(edge: EdgeMetrics): Graph {
  const share = new MathExpression({
    expression: '100 * (1 - fills / (hits + misses))',
    usingMetrics: {
      fills: edge.ofRegion('Fills'),
      hits: edge.ofRegion('LookupHits'),
      misses: edge.ofRegion('LookupMisses'),
    },
    label: 'look-ups without a fill',
    period: MINUTE,
  });
  return {
    title: 'Origin offload',
    metrics: [share],
    right: [edge.ofRegion('FillErrors'), edge.ofRegion('StaleServes')],
    unit: '%',
    max: 100,
  };
}

function evictions(edge: EdgeMetrics, valkey: ValkeyMetrics): Graph {
  return {
    title: 'Evictions by tier',
    metrics: [edge.ofTier('memory', 'TierEvictions'), edge.ofTier('l2', 'TierEvictions'), valkey.total('Evictions')],
    right: [edge.ofRegion('CorruptEntries')],
  };
}

function models(edge: EdgeMetrics): Graph {
  return {
    title: 'Live model versions, tasks of each',
    metrics: [edge.liveVersions()],
    right: [edge.ofRegion('ModelsRefused', { statistic: Stats.MAXIMUM })],
  };
}

function workers(edge: EdgeMetrics): Graph {
  const names = ['WorkerDeaths', 'WorkerKills', 'RunTimeouts', 'ModelsQuarantined'] as const;
  return { title: 'Model workers', metrics: names.map((name) => edge.ofRegion(name)) };
}

function invalidation(edge: EdgeMetrics): Graph {
  return {
    title: 'Invalidation lag',
    metrics: [edge.ofRegion('InvalidationLagSeconds', { statistic: Stats.MAXIMUM, label: 'slowest task, s' })],
    right: [edge.ofRegion('InvalidationLagMessages', { statistic: Stats.MAXIMUM, label: 'messages' })],
    unit: 's',
  };
}

function load(props: RegionDashboardProps): Graph {
  const { edge } = props.sources;
  return {
    title: 'Load and tasks',
    metrics: [
      edge.ofRegion('Load', { statistic: Stats.AVERAGE, label: 'load, average' }),
      edge.ofRegion('Load', { statistic: Stats.MAXIMUM, label: 'load, greatest' }),
    ],
    right: [runningTasks(props, MINUTE)],
    max: 1,
  };
}

function valkeyLoad(valkey: ValkeyMetrics): Graph {
  return {
    title: 'Valkey',
    metrics: [valkey.greatest('EngineCPUUtilization'), valkey.greatest('DatabaseMemoryUsagePercentage')],
    right: [valkey.greatest('ReplicationLag'), valkey.greatest('CurrConnections')],
    unit: '%',
    max: 100,
  };
}

function cost(props: RegionDashboardProps): Graph {
  const requests = props.sources.edge.ofRegion('Requests', { period: HOUR });
  return {
    title: 'Running cost (list prices of 2025-06, without traffic)',
    metrics: [costPerMillion(props.cost, runningTasks(props, HOUR), requests)],
    unit: 'USD / million requests',
  };
}

function runningTasks({ clusterName, serviceNames }: RegionDashboardProps, period: Duration): IMetric {
  const usingMetrics = Object.fromEntries(
    serviceNames.map((ServiceName, index) => [
      // Ids must differ wherever two of these stand in one graph.
      `service${index}Tasks${period.toSeconds()}`,
      new Metric({
        namespace: 'ECS/ContainerInsights',
        metricName: 'RunningTaskCount',
        dimensionsMap: { ClusterName: clusterName, ServiceName },
        statistic: Stats.AVERAGE,
        period,
      }),
    ]),
  );
  const expression = Object.keys(usingMetrics)
    .map((id) => `FILL(${id}, 0)`)
    .join(' + ');
  return new MathExpression({ expression, usingMetrics, label: 'tasks', period });
}

function perSecond(metric: IMetric, label: string): IMetric {
  const id = `${label}Requests`;
  return new MathExpression({
    expression: `${id} / PERIOD(${id})`,
    usingMetrics: { [id]: metric },
    label,
    period: MINUTE,
  });
}
