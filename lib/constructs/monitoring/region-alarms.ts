import { Duration } from 'aws-cdk-lib';
import type { ICertificate } from 'aws-cdk-lib/aws-certificatemanager';
import { type IAlarm, MathExpression, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import {
  type ApplicationLoadBalancer,
  type ApplicationTargetGroup,
  HttpCodeElb,
  HttpCodeTarget,
} from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { HIT_LATENCY_TARGET_SECONDS } from '../../core/cloudwatch-metrics';
import type { Alarms } from './alarms';
import { addBurnRateAlarms, type Objective } from './burn-rate';
import type { EdgeMetrics, ValkeyMetrics } from './edge-metrics';

const FIVE_MINUTES = Duration.minutes(5);

/** Days before a certificate's end; ACM renews 60 days ahead, so a month later something is in its way. */
export const CERTIFICATE_DAYS = 30;

/** What a region's alarms look at. */
export interface RegionSources {
  readonly edge: EdgeMetrics;
  readonly valkey: ValkeyMetrics;
  /** Read replicas of Valkey. */
  readonly replicas: number;
  readonly loadBalancer: ApplicationLoadBalancer;
  readonly targetGroup: ApplicationTargetGroup;
  readonly certificate: ICertificate;
  readonly deadLetterQueues: readonly IQueue[];
}

/** 99.99 % of requests are not answered 5xx, by a task or by the load balancer. */
export function availability({ loadBalancer, targetGroup }: RegionSources): Objective {
  const statistic = Stats.SUM;
  return {
    runbook: 'slo-availability',
    promise: '99.99 % of requests are answered without 5xx',
    budget: 0.0001,
    bad: 'FILL(task, 0) + FILL(entrance, 0)',
    // Requests for which the load balancer finds no task are not among its requests.
    all: 'FILL(requests, 0) + FILL(entrance, 0)',
    metrics: {
      task: targetGroup.metrics.httpCodeTarget(HttpCodeTarget.TARGET_5XX_COUNT, { statistic }),
      entrance: loadBalancer.metrics.httpCodeElb(HttpCodeElb.ELB_5XX_COUNT, { statistic }),
      requests: loadBalancer.metrics.requestCount({ statistic }),
    },
  };
}

/** The 99th percentile of hits stays below 50 ms: at most one hit of a hundred is slower. */
export function hitLatency({ edge }: RegionSources): Objective {
  return {
    runbook: 'slo-hit-latency',
    promise: `99 % of hits are answered within ${HIT_LATENCY_TARGET_SECONDS * 1000} ms`,
    budget: 0.01,
    bad: 'slow',
    all: 'hits',
    metrics: { slow: edge.ofRegion('SlowHitRequests'), hits: edge.ofRegion('HitRequests') },
  };
}

/**
 * Adds what tells of one region, beside what was adopted.
 * @param failing alarms that by themselves mean that the region fails its callers
 */
export function addRegionAlarms(alarms: Alarms, sources: RegionSources, failing: readonly IAlarm[]): void {
  const [fastBurn] = addBurnRateAlarms(alarms, availability(sources));
  addBurnRateAlarms(alarms, hitLatency(sources));
  alarms.any(
    'region-failing',
    'region-failing',
    'The region fails its callers: drain it unless the cause is gone within minutes',
    [...failing, ...(fastBurn ? [fastBurn] : [])],
  );
  addServiceAlarms(alarms, sources);
  addSharedTierAlarms(alarms, sources);
  addControlAlarms(alarms, sources);
  alarms.add('certificate-expiry', {
    runbook: 'certificate-expiry',
    meaning: `The load balancer's certificate ends within ${CERTIFICATE_DAYS} days and was not renewed`,
    metric: sources.certificate.metricDaysToExpiry({ period: Duration.days(1) }),
    below: CERTIFICATE_DAYS,
    periods: 1,
  });
}

function addServiceAlarms(alarms: Alarms, { edge, targetGroup }: RegionSources): void {
  alarms.add('unhealthy-tasks', {
    runbook: 'unhealthy-tasks',
    meaning: 'At least one task has failed its health check for five minutes',
    metric: targetGroup.metrics.unhealthyHostCount({ period: Duration.minutes(1), statistic: Stats.MAXIMUM }),
    above: 0,
    periods: 5,
  });
  alarms.add('metrics-silent', {
    runbook: 'metrics-silent',
    meaning: 'No task has reported its metrics for five minutes, so the alarms that rest on them say nothing',
    metric: edge.ofRegion('Load', { statistic: Stats.SAMPLE_COUNT }),
    below: 1,
    periods: 5,
    silence: 'sick',
  });
  alarms.add('disk-tier-sick', {
    runbook: 'disk-tier-sick',
    meaning: "At least one task's disk tier has not answered for three minutes: its requests go on to the origin",
    metric: edge.ofTier('l2', 'TierHealthy', { statistic: Stats.MINIMUM }),
    below: 1,
    periods: 3,
  });
  alarms.add('model-refused', {
    runbook: 'model-refused',
    meaning: 'A task refuses to serve a model version; the version before it goes on',
    metric: edge.ofRegion('ModelsRefused', { statistic: Stats.MAXIMUM }),
    above: 0,
    periods: 2,
  });
  alarms.add('worker-deaths', {
    runbook: 'worker-deaths',
    meaning: 'More than five model workers died within five minutes',
    metric: edge.ofRegion('WorkerDeaths', { period: FIVE_MINUTES }),
    above: 5,
    periods: 1,
  });
}

/** Limits on Valkey: "Which metrics should I monitor?" of the ElastiCache user guide. */
function addSharedTierAlarms(alarms: Alarms, { edge, valkey, replicas }: RegionSources): void {
  const parts = [
    alarms.add('l1-sick', {
      runbook: 'l1-sick',
      meaning: 'At least one task has left Valkey alone for three minutes, because it does not answer in time',
      metric: edge.ofTier('l1', 'TierHealthy', { statistic: Stats.MINIMUM }),
      below: 1,
      periods: 3,
      notifies: false,
    }),
    alarms.add('valkey-memory', {
      runbook: 'valkey-memory',
      meaning: 'A Valkey node swaps more than 50 MB: its memory does not hold what maxmemory allows',
      metric: valkey.greatest('SwapUsage'),
      above: 50_000_000,
      periods: 5,
      notifies: false,
    }),
    alarms.add('valkey-cpu', {
      runbook: 'valkey-cpu',
      meaning: "A Valkey node's engine thread is busy over 80 % of the time",
      metric: valkey.greatest('EngineCPUUtilization'),
      above: 80,
      periods: 5,
      notifies: false,
    }),
    alarms.add('valkey-evictions', {
      runbook: 'valkey-evictions',
      meaning:
        'Valkey evicts and yet answers less than one look-up of ten: what it holds is gone before it is asked for',
      metric: uselessEvictions(valkey),
      below: 10,
      periods: 3,
      notifies: false,
    }),
  ];
  if (replicas > 0) {
    parts.push(
      alarms.add('valkey-replication', {
        runbook: 'valkey-replication',
        meaning: 'A Valkey replica is over five seconds behind: a failover now would lose that much of the control log',
        metric: valkey.greatest('ReplicationLag'),
        above: 5,
        periods: 5,
        notifies: false,
      }),
    );
  }
  alarms.any('l1-degraded', 'l1-degraded', 'The shared cache tier of the region is sick or about to be', parts);
}

/** Percent of look-ups that Valkey answers in quarters of an hour in which it evicts; 100 in those in which it does not. */
function uselessEvictions(valkey: ValkeyMetrics): MathExpression {
  const period = Duration.minutes(15);
  return new MathExpression({
    expression: 'IF(evictions > 0 AND hits + misses > 1000, 100 * hits / (hits + misses), 100)',
    usingMetrics: {
      evictions: valkey.total('Evictions', period),
      hits: valkey.total('CacheHits', period),
      misses: valkey.total('CacheMisses', period),
    },
    label: 'hit rate while evicting, percent',
    period,
  });
}

function addControlAlarms(alarms: Alarms, { edge, deadLetterQueues }: RegionSources): void {
  alarms.add('invalidation-lag', {
    runbook: 'invalidation-lag',
    meaning:
      'A task has not known for half a minute that it has applied the whole control log: it may serve what was purged',
    metric: edge.ofRegion('InvalidationLagSeconds', { statistic: Stats.MAXIMUM }),
    above: 30,
    periods: 3,
  });
  const usingMetrics = Object.fromEntries(
    deadLetterQueues.map((queue, index) => [
      `q${index}`,
      queue.metricApproximateNumberOfMessagesVisible({ statistic: Stats.MAXIMUM, period: FIVE_MINUTES }),
    ]),
  );
  alarms.add('dead-letters', {
    runbook: 'dead-letters',
    meaning: 'A control message could not be delivered or applied in this region and waits in a queue',
    metric: new MathExpression({
      expression: Object.keys(usingMetrics)
        .map((name) => `FILL(${name}, 0)`)
        .join(' + '),
      usingMetrics,
      label: 'messages in dead-letter queues',
      period: FIVE_MINUTES,
    }),
    above: 0,
    periods: 1,
  });
}
