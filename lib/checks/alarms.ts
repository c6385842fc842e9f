import { LIVE_TASKS, METRICS_NAMESPACE, REGION_METRICS, TIER_METRICS } from '../core/cloudwatch-metrics';
import type { CheckedResource, CheckedStack } from './assembly';
import type { Check, Finding } from './finding';
import { at, listAt, numberAt, textAt, textsAt } from './json';

type Fault = Pick<Finding, 'problem' | 'right'>;

const ALARM_TYPES = ['AWS::CloudWatch::Alarm', 'AWS::CloudWatch::CompositeAlarm'];

/** Statistics of alarms that Route 53 reads. Source: Route 53 developer guide, "Monitoring a CloudWatch alarm". */
const HEALTH_CHECK_STATISTICS = ['Average', 'Minimum', 'Maximum', 'Sum', 'SampleCount'];

/** Longest time that an alarm may look back, s: a day, a week with periods of an hour or more. Source: PutMetricAlarm. */
const LOOK_BACK = { day: 86_400, week: 604_800, longPeriod: 3600 };

/** Metrics that tasks report; an alarm over another of their namespace would never have data. */
const OWN_METRICS = [...Object.keys(REGION_METRICS), ...Object.keys(TIER_METRICS), LIVE_TASKS];

/** Health checks, deployments and composite alarms name alarms that exist and that they can read. */
export const alarms: Check = {
  name: 'alarms',
  run: ({ stacks }) =>
    stacks.flatMap((stack) =>
      stack.resources.flatMap((resource) =>
        faultsOf(resource, stack).map((fault) => ({ stack: stack.name, resource: resource.logicalId, ...fault })),
      ),
    ),
};

function faultsOf(resource: CheckedResource, stack: CheckedStack): Fault[] {
  switch (resource.type) {
    case 'AWS::Route53::HealthCheck':
      return healthCheckFaults(resource, stack);
    case 'AWS::ECS::Service':
      return textsAt(resource.properties, 'DeploymentConfiguration', 'Alarms', 'AlarmNames').flatMap((name) =>
        missingAlarm(name, stack, 'deployments'),
      );
    case 'AWS::CloudWatch::CompositeAlarm':
      return compositeFaults(resource, stack);
    case 'AWS::CloudWatch::Alarm':
      return alarmFaults(resource);
    default:
      return [];
  }
}

function alarmsOf({ resources }: CheckedStack): CheckedResource[] {
  return resources.filter(({ type }) => ALARM_TYPES.includes(type));
}

function missingAlarm(name: string, stack: CheckedStack, by: string): Fault[] {
  if (alarmsOf(stack).some((alarm) => alarm.name === name)) return [];
  return [
    {
      problem: `${by} watch the alarm ${name}, which does not exist in ${stack.region}`,
      right: 'an alarm of this stack',
    },
  ];
}

function healthCheckFaults({ properties }: CheckedResource, stack: CheckedStack): Fault[] {
  const config = properties.HealthCheckConfig;
  const type = textAt(config, 'Type');
  if (type === 'CALCULATED') return calculatedFaults(config, stack);
  if (type !== 'CLOUDWATCH_METRIC') return [];
  const region = textAt(config, 'AlarmIdentifier', 'Region');
  const name = textAt(config, 'AlarmIdentifier', 'Name');
  const alarm = alarmsOf(stack).find((candidate) => candidate.name === name);
  if (region !== stack.region || !alarm) {
    const where = region === stack.region ? region : `${region}, not in the stack's ${stack.region}`;
    return [{ problem: `watches the alarm ${name} in ${where}, which is not there`, right: 'an alarm of this stack' }];
  }
  const statistic =
    textAt(alarm.properties, 'Statistic') || textAt(alarm.properties, 'ExtendedStatistic') || 'metric math';
  const periods = textAt(alarm.properties, 'EvaluationPeriods');
  const points = textAt(alarm.properties, 'DatapointsToAlarm') || periods;
  return [
    ...(HEALTH_CHECK_STATISTICS.includes(statistic)
      ? []
      : [
          {
            problem: `Route 53 cannot read the alarm ${name}, over ${statistic}`,
            right: HEALTH_CHECK_STATISTICS.join(', '),
          },
        ]),
    ...(points === periods
      ? []
      : [
          {
            problem: `Route 53 cannot read the alarm ${name}, ${points} out of ${periods}`,
            right: 'all periods in a row',
          },
        ]),
  ];
}

function calculatedFaults(config: unknown, { resources }: CheckedStack): Fault[] {
  const children = textsAt(config, 'ChildHealthChecks');
  const ids = resources
    .filter(({ type }) => type === 'AWS::Route53::HealthCheck')
    .map(({ logicalId }) => `<${logicalId}.HealthCheckId>`);
  const threshold = numberAt(config, 'HealthThreshold') ?? 0;
  return [
    ...children
      .filter((child) => !ids.includes(child))
      .map((child) => ({ problem: `has the part ${child}, which is no health check`, right: ids.join(', ') })),
    ...(threshold >= 1 && threshold <= children.length
      ? []
      : [
          {
            problem: `needs ${threshold} of ${children.length} parts`,
            right: `1 to ${children.length}; 0 is always healthy`,
          },
        ]),
  ];
}

function compositeFaults({ properties }: CheckedResource, stack: CheckedStack): Fault[] {
  const named = [...textAt(properties, 'AlarmRule').matchAll(/(?:ALARM|OK|INSUFFICIENT_DATA)\("?([^")]+)"?\)/g)];
  return named.flatMap(([, name = '']) =>
    missingAlarm(name.replace(/^arn:aws:cloudwatch:.*:alarm:/, ''), stack, 'its rules'),
  );
}

function alarmFaults({ properties }: CheckedResource): Fault[] {
  const metrics = [
    { namespace: textAt(properties, 'Namespace'), name: textAt(properties, 'MetricName') },
    ...listAt(properties, 'Metrics').map((query) => ({
      namespace: textAt(query, 'MetricStat', 'Metric', 'Namespace'),
      name: textAt(query, 'MetricStat', 'Metric', 'MetricName'),
    })),
  ];
  const unreported = metrics.filter(
    ({ namespace, name }) => namespace === METRICS_NAMESPACE && !OWN_METRICS.includes(name),
  );
  const periods = [
    numberAt(properties, 'Period') ?? 0,
    ...listAt(properties, 'Metrics').map((query) => numberAt(query, 'MetricStat', 'Period') ?? 0),
  ];
  const period = Math.max(...periods);
  const lookBack = period * (numberAt(properties, 'EvaluationPeriods') ?? 1);
  const allowed = period >= LOOK_BACK.longPeriod ? LOOK_BACK.week : LOOK_BACK.day;
  const returned = listAt(properties, 'Metrics').filter((query) => at(query, 'ReturnData') !== false);
  return [
    ...unreported.map(({ name }) => ({
      problem: `watches ${name}, which no task reports`,
      right: OWN_METRICS.join(', '),
    })),
    ...(lookBack > allowed ? [{ problem: `looks ${lookBack} s back`, right: `at most ${allowed} s` }] : []),
    ...(listAt(properties, 'Metrics').length > 0 && returned.length !== 1
      ? [{ problem: `${returned.length} of its queries return data`, right: 'one' }]
      : []),
  ];
}
