import type { Points } from './metric-math';

export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';

export type MissingData = 'missing' | 'ignore' | 'breaching' | 'notBreaching';

/** When a metric alarm fires. */
export interface AlarmRules {
  readonly breaches: (value: number) => boolean;
  /** Number of points that are judged. */
  readonly evaluationPeriods: number;
  /** How many of them must breach. */
  readonly datapointsToAlarm: number;
  readonly missingData: MissingData;
}

/** Points beyond those that are judged to which CloudWatch looks back for real ones; its examples have two. */
const LOOK_BACK = 2;

/** Number of points that an alarm's state is made of. */
export function evaluationRange({ evaluationPeriods }: Pick<AlarmRules, 'evaluationPeriods'>): number {
  return evaluationPeriods + LOOK_BACK;
}

/**
 * State of a metric alarm by the points of its evaluation range. As long as there are enough real points, the newest of
 * them decide and missing ones do not count; otherwise as few missing ones are filled in as are needed.
 * Source: CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data", with its tables as tests.
 *
 * @param points of the evaluation range, the oldest first
 * @param current the state until now, which may be kept
 */
export function alarmState(rules: AlarmRules, points: Points, current: AlarmState): AlarmState {
  const { evaluationPeriods, datapointsToAlarm, missingData, breaches } = rules;
  const real = points.filter((point) => point !== undefined).slice(-evaluationPeriods);
  const breaching = real.filter(breaches).length;
  const missing = evaluationPeriods - real.length;
  if (breaching >= datapointsToAlarm) return 'ALARM';
  if (missing === 0 || missingData === 'notBreaching') return 'OK';
  if (missingData === 'breaching') return breaching + missing >= datapointsToAlarm ? 'ALARM' : 'OK';
  if (real.length === 0) return missingData === 'ignore' ? current : 'INSUFFICIENT_DATA';
  if (breaching < real.length) return 'OK';
  // Every point that there is breaches. One alone may be the first of a metric that comes and goes; it fires when it is
  // old enough to have been followed by others.
  const age = points.length - points.findIndex((point) => point !== undefined);
  return missingData === 'missing' && age >= datapointsToAlarm ? 'ALARM' : current;
}
