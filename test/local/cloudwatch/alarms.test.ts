import { CloudWatchStandIn } from '../../../local/cloudwatch/cloudwatch-stand-in';
import { MetricStore } from '../../../local/cloudwatch/metric-store';
import { resource } from '../support/platform';

const MINUTE = 60_000;
const errors = { region: 'us-east-1', namespace: 'app', name: 'Errors', dimensions: {} };

function cloudWatch() {
  let minute = 100;
  const lines: string[] = [];
  const store = new MetricStore(() => minute * MINUTE);
  const standIn = new CloudWatchStandIn({ metrics: store, log: (line) => lines.push(line) });
  return {
    lines,
    state: (name: string) => standIn.find('us-east-1', name)?.state,
    start(type: 'Alarm' | 'CompositeAlarm', AlarmName: string, properties: Record<string, unknown>) {
      const module = standIn.modules.find((candidate) => candidate.type === `AWS::CloudWatch::${type}`);
      if (!module) throw new Error(`no module for ${type}`);
      return module.start(resource(module.type, AlarmName, { AlarmName, ...properties }));
    },
    /** Lets minutes pass in which so many errors happen each. */
    pass(...counts: readonly (number | undefined)[]) {
      for (const count of counts) {
        if (count !== undefined) store.put(errors, { values: [count], counts: [1] });
        minute += 1;
        standIn.evaluate(minute * MINUTE + 5_000);
      }
    },
  };
}

const limits = { ComparisonOperator: 'GreaterThanThreshold', Threshold: 10, TreatMissingData: 'notBreaching' };
const sum = { Namespace: 'app', MetricName: 'Errors', Statistic: 'Sum', Period: 60 };

describe('a metric alarm', () => {
  test('fires when as many periods breach as it says, and is over when they do not', async () => {
    const alarms = cloudWatch();
    await alarms.start('Alarm', 'failing', { ...sum, ...limits, EvaluationPeriods: 3 });
    expect(alarms.state('failing')).toBe('INSUFFICIENT_DATA');
    alarms.pass(11, 11, 10, 11, 11);
    expect(alarms.state('failing')).toBe('OK');
    alarms.pass(11);
    expect(alarms.state('failing')).toBe('ALARM');
    alarms.pass(0);
    expect(alarms.state('failing')).toBe('OK');
    expect(alarms.lines.map((line) => line.replace(/ \(.*/, ''))).toEqual([
      'alarm failing of us-east-1: INSUFFICIENT_DATA -> OK',
      'alarm failing of us-east-1: OK -> ALARM',
      'alarm failing of us-east-1: ALARM -> OK',
    ]);
  });

  test('with a longer period looks at windows that end at the last minute', async () => {
    const alarms = cloudWatch();
    await alarms.start('Alarm', 'five', { ...sum, ...limits, Period: 300, EvaluationPeriods: 1 });
    alarms.pass(6, undefined, undefined, undefined, 6);
    expect(alarms.state('five')).toBe('ALARM');
    alarms.pass(0);
    expect(alarms.state('five')).toBe('OK');
  });

  test('on metric math sees what its expressions stand on', async () => {
    const alarms = cloudWatch();
    const MetricStat = { Metric: { Namespace: 'app', MetricName: 'Errors' }, Period: 60, Stat: 'Sum' };
    await alarms.start('Alarm', 'math', {
      ...{ ...limits, EvaluationPeriods: 3, DatapointsToAlarm: 2 },
      Metrics: [
        { Id: 'result', Expression: 'twice + FILL(m1, 0)' },
        { Id: 'twice', Expression: 'm1 * 2', ReturnData: false },
        { Id: 'm1', MetricStat, ReturnData: false },
      ],
    });
    alarms.pass(4, 3, 4);
    expect(alarms.state('math')).toBe('ALARM');
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['a period of seconds', { ...sum, Period: 10 }, /Period/],
    ['another statistic', { ...sum, Statistic: 'Trimmed' }, /statistic Trimmed is not run here/],
    ['anomaly detection', { ...sum, ComparisonOperator: 'LessThanLowerOrGreaterThanUpperThreshold' }, /anomaly/],
    ['more points than periods', { ...sum, DatapointsToAlarm: 4 }, /DatapointsToAlarm is 4/],
    [
      'percentiles of few samples',
      { ...sum, EvaluateLowSampleCountPercentile: 'ignore' },
      /is not run on this machine/,
    ],
    [
      'a metric of AWS that nobody measures',
      { ...sum, Namespace: 'AWS/ApplicationELB' },
      /Errors is not measured here/,
    ],
    [
      'dimensions by which nobody measures',
      { ...sum, Namespace: 'AWS/ApplicationELB', MetricName: 'HealthyHostCount' },
      /by the dimensions LoadBalancer, TargetGroup, not by none/,
    ],
    ['a service of AWS that nobody measures', { ...sum, Namespace: 'AWS/EC2' }, /AWS\/EC2 are not measured here/],
  ])('is refused with %s', async (_, properties, why) => {
    const all = { ...limits, EvaluationPeriods: 3, ...properties };
    await expect(cloudWatch().start('Alarm', 'odd', all)).rejects.toThrow(why);
  });

  test.each<[string, object[], RegExp]>([
    [
      'two results',
      [
        { Id: 'a', Expression: 'b' },
        { Id: 'b', Expression: 'a' },
      ],
      /exactly one, but it is for 2/,
    ],
    ['an unknown id', [{ Id: 'a', Expression: 'x + 1' }], /one period is run here, not none/],
  ])('is refused with %s', async (_, Metrics, why) => {
    const all = { ...limits, EvaluationPeriods: 3, Metrics };
    await expect(cloudWatch().start('Alarm', 'odd', all)).rejects.toThrow(why);
  });

  test('is refused when its expressions go in a circle or name nobody', async () => {
    const MetricStat = { Metric: { Namespace: 'app', MetricName: 'Errors' }, Period: 60, Stat: 'Sum' };
    const withExpressions = (...expressions: object[]) =>
      cloudWatch().start('Alarm', 'odd', {
        ...{ ...limits, EvaluationPeriods: 3 },
        Metrics: [{ Id: 'm1', MetricStat, ReturnData: false }, ...expressions],
      });
    await expect(withExpressions({ Id: 'a', Expression: 'm2 + m1' })).rejects.toThrow(
      'there is no metric or expression m2',
    );
    await expect(
      withExpressions({ Id: 'a', Expression: 'b + m1' }, { Id: 'b', Expression: 'a', ReturnData: false }),
    ).rejects.toThrow('a -> b -> a name each other');
  });
});

describe('a composite alarm', () => {
  test('follows the alarms that its rule names, by name or ARN', async () => {
    const alarms = cloudWatch();
    await alarms.start('Alarm', 'some', { ...sum, ...limits, EvaluationPeriods: 1 });
    const many = await alarms.start('Alarm', 'many', { ...sum, ...limits, Threshold: 100, EvaluationPeriods: 1 });
    const rules: Record<string, string> = {
      either: `ALARM(some) OR ALARM("${many.attributes?.Arn}")`,
      both: `(ALARM("some") AND ALARM("many"))`,
      only: 'ALARM(some) AND NOT (ALARM(many) OR FALSE)',
      calm: 'OK(some) AND TRUE',
    };
    for (const [name, AlarmRule] of Object.entries(rules)) await alarms.start('CompositeAlarm', name, { AlarmRule });
    const firing = () => Object.keys(rules).filter((name) => alarms.state(name) === 'ALARM');
    alarms.pass(0);
    expect(firing()).toEqual(['calm']);
    alarms.pass(50);
    expect(firing()).toEqual(['either', 'only']);
    alarms.pass(500);
    expect(firing()).toEqual(['either', 'both']);
  });

  test('is refused with a rule that is not understood, or an alarm that does not exist', async () => {
    const composite = (AlarmRule: string) => cloudWatch().start('CompositeAlarm', 'odd', { AlarmRule });
    await expect(composite('ALARM(nobody)')).rejects.toThrow('there is no alarm nobody in us-east-1');
    await expect(composite('AT_LEAST(2, ALARM, (a, b))')).rejects.toThrow('is not understood');
    await expect(composite('(ALARM(a)')).rejects.toThrow('is not closed');
    await expect(composite('ALARM(a) AND')).rejects.toThrow('lacks an alarm');
    await expect(composite('ALARM(a) ALARM(b)')).rejects.toThrow('is not expected');
  });
});
