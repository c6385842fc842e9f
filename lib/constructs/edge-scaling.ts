import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, type IAlarm, MathExpression, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { FargateService } from 'aws-cdk-lib/aws-ecs';
import { type ApplicationTargetGroup, HttpCodeTarget } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';
import type { RegionConfig } from '../config';

/** Share of the tasks' CPU at which tasks are added, percent: leaves room for a neighbour region's traffic. */
const TARGET_CPU_PERCENT = 55;

/** Tasks come quickly and leave slowly: a new one starts with a cold memory tier. */
const COOLDOWNS = { scaleOutCooldown: Duration.seconds(30), scaleInCooldown: Duration.minutes(5) };

/**
 * As many tasks as CPU or the requests of one task ask for, whichever is more: a task is taken away only when both agree.
 * Requests lead, for they rise before the CPU of a queue of slow models does.
 */
export function scaleWithLoad(
  service: FargateService,
  targetGroup: ApplicationTargetGroup,
  { desiredCount, maxCount, requestsPerTaskPerMinute }: RegionConfig['edge'],
): void {
  const tasks = service.autoScaleTaskCount({ minCapacity: desiredCount, maxCapacity: maxCount });
  tasks.scaleOnCpuUtilization('Cpu', { targetUtilizationPercent: TARGET_CPU_PERCENT, ...COOLDOWNS });
  tasks.scaleOnRequestCount('Requests', { requestsPerTarget: requestsPerTaskPerMinute, targetGroup, ...COOLDOWNS });
}

/** Answers of 5xx above which a region is failing, percent. */
const FAILING_PERCENT = 1;

/** Answers slower than this in one of a hundred requests mean a region is failing. */
const SLOW = Duration.seconds(2);

/** What tells that a region's edge service fails its callers. Silence is health: a region may have no traffic at night. */
export class EdgeAlarms extends Construct {
  readonly all: readonly IAlarm[];

  constructor(scope: Construct, id: string, targetGroup: ApplicationTargetGroup) {
    super(scope, id);
    const period = Duration.minutes(1);
    const { metrics } = targetGroup;
    const errors = new MathExpression({
      label: '5xx of all answers, percent',
      // Below a hundred requests a minute one error is not a rate.
      expression: 'IF(requests > 100, 100 * errors / requests, 0)',
      usingMetrics: {
        errors: metrics.httpCodeTarget(HttpCodeTarget.TARGET_5XX_COUNT, { period, statistic: 'Sum' }),
        requests: metrics.requestCount({ period, statistic: 'Sum' }),
      },
      period,
    });
    const latency = metrics.targetResponseTime({ period, statistic: 'p99' });
    const whenAbove = (alarmId: string, metric: MathExpression | typeof latency, threshold: number, what: string) =>
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
  }
}
