import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type IAlarm,
  type IMetric,
  MathExpression,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { FargateService } from 'aws-cdk-lib/aws-ecs';
import { type ApplicationTargetGroup, HttpCodeTarget } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';
import type { RegionConfig } from '../config';

/** Share of the tasks' CPU at which tasks are added, percent: leaves room for a neighbour region's traffic. */
const TARGET_CPU_PERCENT = 55;

/** What the tasks' own load, 0 to 1, should be on average: the busiest of their pools, of the event loop and of the queues. */
const TARGET_LOAD = 0.6;

/** Tasks come quickly and leave slowly: a new one starts with a cold memory tier. */
const COOLDOWNS = { scaleOutCooldown: Duration.seconds(30), scaleInCooldown: Duration.minutes(5) };

export interface EdgeScalingProps {
  /** The service that grows. */
  readonly service: FargateService;
  /** Tasks of the region that are no part of it. */
  readonly otherTasks: number;
  readonly targetGroup: ApplicationTargetGroup;
  /** Average of the load that the region's tasks report, 0 to 1. */
  readonly load: IMetric;
  readonly sizes: RegionConfig['edge'];
}

/**
 * As many tasks as CPU, the requests of one task or the load that tasks report ask for, whichever is most: a task is taken
 * away only when all agree. Requests lead, for they rise first; the load knows what neither shows, a full queue in front
 * of few slots for slow models.
 */
export function scaleWithLoad({ service, otherTasks, targetGroup, load, sizes }: EdgeScalingProps): void {
  const { desiredCount, maxCount, requestsPerTaskPerMinute } = sizes;
  const tasks = service.autoScaleTaskCount({
    minCapacity: desiredCount - otherTasks,
    maxCapacity: maxCount - otherTasks,
  });
  tasks.scaleToTrackCustomMetric('Load', { metric: load, targetValue: TARGET_LOAD, ...COOLDOWNS });
  tasks.scaleOnCpuUtilization('Cpu', { targetUtilizationPercent: TARGET_CPU_PERCENT, ...COOLDOWNS });
  tasks.scaleOnRequestCount('Requests', { requestsPerTarget: requestsPerTaskPerMinute, targetGroup, ...COOLDOWNS });
}

/** Answers of 5xx above which a region is failing, percent. */
const FAILING_PERCENT = 1;

/** Answers slower than this in one of a hundred requests mean a region is failing. */
const SLOW = Duration.seconds(2);

/** Requests and errors of one deployment of the service. */
export interface DeploymentMetrics {
  readonly requests: IMetric;
  readonly errors: IMetric;
}

/** What tells that a region's edge service fails its callers. Silence is health: a region may have no traffic at night. */
export class EdgeAlarms extends Construct {
  /** Those of the region. */
  readonly all: readonly IAlarm[];
  /** Those of the canary, where there is one, beside the region's: among many tasks its errors would be few. */
  readonly ofCanary: readonly IAlarm[];

  constructor(scope: Construct, id: string, targetGroup: ApplicationTargetGroup, canary?: DeploymentMetrics) {
    super(scope, id);
    const period = Duration.minutes(1);
    const { metrics } = targetGroup;
    const errors = errorPercent('5xx of all answers, percent', {
      errors: metrics.httpCodeTarget(HttpCodeTarget.TARGET_5XX_COUNT, { period, statistic: 'Sum' }),
      requests: metrics.requestCount({ period, statistic: 'Sum' }),
    });
    const latency = metrics.targetResponseTime({ period, statistic: 'p99' });
    const whenAbove = (alarmId: string, metric: IMetric, threshold: number, what: string) =>
      new Alarm(this, alarmId, {
        metric,
        threshold,
        alarmDescription: what,
        comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
        evaluationPeriods: 3,
        datapointsToAlarm: 2,
        treatMissingData: TreatMissingData.NOT_BREACHING,
      });
    this.all = [
      whenAbove('Errors', errors, FAILING_PERCENT, `More than ${FAILING_PERCENT} % of the answers are 5xx`),
      whenAbove(
        'Latency',
        latency,
        SLOW.toSeconds(),
        `One in a hundred answers takes longer than ${SLOW.toSeconds()} s`,
      ),
    ];
    this.ofCanary = canary
      ? [
          whenAbove(
            'CanaryErrors',
            errorPercent("5xx of the canary's answers, percent", canary),
            FAILING_PERCENT,
            `More than ${FAILING_PERCENT} % of the canary's answers are 5xx`,
          ),
        ]
      : [];
  }
}

function errorPercent(label: string, { errors, requests }: DeploymentMetrics): MathExpression {
  return new MathExpression({
    label,
    // Below a hundred requests a minute one error is not a rate.
    expression: 'IF(requests > 100, 100 * errors / requests, 0)',
    usingMetrics: { errors, requests },
    period: Duration.minutes(1),
  });
}
