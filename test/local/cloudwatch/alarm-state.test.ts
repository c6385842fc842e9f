import { type AlarmState, alarmState, evaluationRange, type MissingData } from '../../../local/cloudwatch/alarm-state';

const TREATMENTS: readonly MissingData[] = ['missing', 'ignore', 'breaching', 'notBreaching'];

/** `0` a point within the threshold, `X` one beyond it, `-` none; the oldest first, as in CloudWatch's tables. */
function state(points: string, datapointsToAlarm: number, missingData: MissingData, current: AlarmState): AlarmState {
  const rules = { evaluationPeriods: 3, datapointsToAlarm, missingData, breaches: (value: number) => value > 0 };
  const values = points.split(' ').map((point) => (point === '-' ? undefined : point === 'X' ? 1 : 0));
  expect(values).toHaveLength(evaluationRange(rules));
  return alarmState(rules, values, current);
}

/** "Retain": whatever the state was, it stays. */
const KEPT = 'KEPT';

// CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data": both tables.
test.each([
  [3, '0 - X - X', ['OK', 'OK', 'OK', 'OK']],
  [3, '- - - - 0', ['OK', 'OK', 'OK', 'OK']],
  [3, '- - - - -', ['INSUFFICIENT_DATA', KEPT, 'ALARM', 'OK']],
  [3, '0 X X - X', ['ALARM', 'ALARM', 'ALARM', 'ALARM']],
  [3, '- - X - -', ['ALARM', KEPT, 'ALARM', 'OK']],
  [2, '0 - X - X', ['ALARM', 'ALARM', 'ALARM', 'ALARM']],
  [2, '0 0 X 0 X', ['ALARM', 'ALARM', 'ALARM', 'ALARM']],
  [2, '0 - X - -', ['OK', 'OK', 'ALARM', 'OK']],
  [2, '- - - - 0', ['OK', 'OK', 'ALARM', 'OK']],
  [2, '- - - X -', ['ALARM', KEPT, 'ALARM', 'OK']],
])('%d of 3 points, %s', (datapointsToAlarm, points, expected) => {
  for (const [index, missingData] of TREATMENTS.entries()) {
    for (const current of ['OK', 'ALARM', 'INSUFFICIENT_DATA'] as const) {
      const wanted = expected[index] === KEPT ? current : expected[index];
      expect([missingData, state(points, datapointsToAlarm, missingData, current)]).toEqual([missingData, wanted]);
    }
  }
});

test('a single point that breaches does not fire before others could have come', () => {
  expect(state('- - - - X', 3, 'missing', 'OK')).toBe('OK');
  expect(state('- - - X -', 3, 'missing', 'OK')).toBe('OK');
});
