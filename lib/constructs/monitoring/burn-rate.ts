import { Duration } from 'aws-cdk-lib';
import { type IMetric, MathExpression, type Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { Alarms } from './alarms';
import type { Runbook } from './runbooks';

/** Days over which an objective holds. */
export const OBJECTIVE_DAYS = 30;

/** Bad events that a window must hold before it counts: a night's single error is no rate. */
const LEAST_BAD_EVENTS = 10;

/** A speed at which the error budget is spent, and the two windows over which it must be seen. */
export interface BurnRate {
  readonly name: string;
  /** How many times as fast as would use the budget up exactly at the end of `OBJECTIVE_DAYS`. */
  readonly factor: number;
  readonly long: Duration;
  readonly short: Duration;
}

/**
 * Multi-window, multi-burn-rate alerts: the long window says that it matters, the short one, a twelfth of it, that it still
 * goes on. Source: Google, "The Site Reliability Workbook", chapter 5, "Alerting on SLOs", section 6. Two percent of the
 * budget in an hour, five in six hours, and ten percent: the chapter's three days at rate 1 are a day at rate 3 here,
 * because a period of CloudWatch lasts a day at most.
 */
export const BURN_RATES: readonly BurnRate[] = [
  { name: 'fast', factor: 14.4, long: Duration.hours(1), short: Duration.minutes(5) },
  { name: 'slow', factor: 6, long: Duration.hours(6), short: Duration.minutes(30) },
  { name: 'leak', factor: 3, long: Duration.days(1), short: Duration.hours(2) },
];

/** A share of good events that is promised. */
export interface Objective {
  readonly runbook: Runbook & `slo-${string}`;
  /** What is promised, in words. */
  readonly promise: string;
  /** Share of events that may be bad, above 0 and below 1. */
  readonly budget: number;
  /** Bad and all events as expressions over `metrics`. */
  readonly bad: string;
  readonly all: string;
  readonly metrics: Readonly<Record<string, Metric>>;
}

/** How fast the budget was spent in windows of this length. */
export function burnRate({ bad, all, budget, metrics }: Objective, window: Duration): IMetric {
  // Ids of their own for each window, so that several windows fit into one graph.
  const idOf = (name: string) => `${name}_${window.toMinutes()}`;
  const named = (expression: string) =>
    Object.keys(metrics).reduce(
      (text, name) => text.replaceAll(new RegExp(`\\b${name}\\b`, 'g'), idOf(name)),
      expression,
    );
  return new MathExpression({
    expression: `IF((${named(bad)}) >= ${LEAST_BAD_EVENTS}, (${named(bad)}) / (${named(all)}) / ${budget}, 0)`,
    usingMetrics: Object.fromEntries(
      Object.entries(metrics).map(([name, metric]) => [idOf(name), metric.with({ period: window })]),
    ),
    label: `burn rate over ${window.toHumanString()}`,
    period: window,
  });
}

/** Adds an objective's alarms, the quickest first; each fires while both of its windows do. */
export function addBurnRateAlarms(alarms: Alarms, objective: Objective) {
  return BURN_RATES.map(({ name, factor, long, short }) => {
    const windows = [long, short].map((window) =>
      alarms.add(`${objective.runbook}-${name}-${window.toHumanString().replace(/\W/g, '')}`, {
        runbook: objective.runbook,
        meaning: `Part of ${objective.runbook}-${name}: the error budget burned over ${factor} times too fast for ${window.toHumanString()}`,
        metric: burnRate(objective, window),
        above: factor,
        periods: 1,
        notifies: false,
      }),
    );
    const spent = Math.round((factor * long.toHours() * 100) / (OBJECTIVE_DAYS * 24));
    return alarms.every(
      `${objective.runbook}-${name}`,
      objective.runbook,
      `${objective.promise}: ${spent} % of ${OBJECTIVE_DAYS} days' error budget are spent within ${long.toHumanString()}, and it goes on`,
      windows,
    );
  });
}
