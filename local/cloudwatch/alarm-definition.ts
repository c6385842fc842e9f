import { z } from 'zod';
import { Flag, parseProperties } from '../engine/properties';
import type { Resource } from '../engine/types';
import { type AlarmRules, evaluationRange } from './alarm-state';
import { type MathExpression, type Points, parseMetricMath } from './metric-math';
import { type MetricId, type MetricStore, requireStatistic, type Statistic } from './metric-store';

const Dimensions = z.array(z.strictObject({ Name: z.string(), Value: z.string() })).default([]);
const Period = z.coerce
  .number()
  .int()
  .multipleOf(60, { error: 'must be whole minutes: metrics are kept by the minute here' });

const MetricQuery = z.strictObject({
  Id: z.string().regex(/^[a-z]\w*$/),
  Label: z.string().optional(),
  ReturnData: Flag.default(true),
  Period: Period.optional(),
  Expression: z.string().optional(),
  MetricStat: z
    .strictObject({
      Metric: z.strictObject({ Namespace: z.string(), MetricName: z.string(), Dimensions }),
      Period,
      Stat: z.string(),
    })
    .optional(),
});

const COMPARISONS: Readonly<Record<string, (value: number, threshold: number) => boolean>> = {
  GreaterThanOrEqualToThreshold: (value, threshold) => value >= threshold,
  GreaterThanThreshold: (value, threshold) => value > threshold,
  LessThanThreshold: (value, threshold) => value < threshold,
  LessThanOrEqualToThreshold: (value, threshold) => value <= threshold,
};

const AlarmProperties = z.object({
  AlarmName: z.string().optional(),
  Namespace: z.string().optional(),
  MetricName: z.string().optional(),
  Dimensions,
  Statistic: z.string().optional(),
  ExtendedStatistic: z.string().optional(),
  Period: Period.optional(),
  Metrics: z.array(MetricQuery).optional(),
  ComparisonOperator: z.literal(Object.keys(COMPARISONS), {
    error: `anomaly detection is not run here; these are: ${Object.keys(COMPARISONS).join(', ')}`,
  }),
  Threshold: z.coerce.number(),
  EvaluationPeriods: z.coerce.number().int().min(1),
  DatapointsToAlarm: z.coerce.number().int().min(1).optional(),
  TreatMissingData: z.enum(['missing', 'ignore', 'breaching', 'notBreaching']).default('missing'),
});

/** Nobody is notified on one machine; what an alarm says of itself stands in the runner's log. */
const INERT = ['AlarmDescription', 'ActionsEnabled', 'AlarmActions', 'OKActions', 'InsufficientDataActions'];

/** A metric with what is asked of it. */
interface MetricQuestion {
  readonly metric: MetricId;
  readonly statistic: Statistic;
}

/** A metric alarm of a template, read and checked. */
export interface AlarmDefinition {
  readonly rules: AlarmRules;
  /** In words, for messages. */
  readonly condition: string;
  readonly periodMs: number;
  /** Every metric that it looks at. */
  readonly questions: readonly MetricQuestion[];
  /** Of an alarm on one metric. */
  readonly single: MetricQuestion | undefined;
  /** The points of the evaluation range that ends at `to`, ms since 1970, the oldest first. */
  points(store: MetricStore, to: number): Points;
}

/**
 * Reads the properties of an `AWS::CloudWatch::Alarm`.
 *
 * @throws Error for what is not evaluated here: anomaly detection, periods below a minute, other accounts' metrics,
 *   statistics and functions that the stand-in does not know, and expressions over metrics of several periods
 */
export function alarmDefinition(resource: Resource): AlarmDefinition {
  const properties = parseProperties(resource, AlarmProperties, INERT);
  const { ComparisonOperator, Threshold, EvaluationPeriods, TreatMissingData } = properties;
  const { DatapointsToAlarm = EvaluationPeriods } = properties;
  if (DatapointsToAlarm > EvaluationPeriods) {
    throw new Error(
      `DatapointsToAlarm is ${DatapointsToAlarm}, but only ${EvaluationPeriods} EvaluationPeriods are looked at`,
    );
  }
  const queries = properties.Metrics ?? [soleQuery(properties)];
  const returned = queries.filter(({ ReturnData }) => ReturnData);
  const [result] = returned;
  if (!result || returned.length > 1) {
    throw new Error(`Metrics: ReturnData must be true for exactly one, but it is for ${returned.length}`);
  }
  const questions = questionsOf(queries, resource.region);
  const periods = new Set(queries.flatMap(({ MetricStat }) => MetricStat?.Period ?? []));
  const [period] = periods;
  if (period === undefined || periods.size > 1) {
    throw new Error(`Metrics: one period is run here, not ${[...periods].join(' and ') || 'none'}`);
  }
  const expressions = new Map(
    queries.flatMap(({ Id, Expression }) => (Expression ? [[Id, parseMetricMath(Expression)] as const] : [])),
  );
  requireKnownIds(expressions, new Set(queries.map(({ Id }) => Id)));
  const periodMs = period * 1000;
  const range = evaluationRange({ evaluationPeriods: EvaluationPeriods });
  const compare = COMPARISONS[ComparisonOperator];
  return {
    rules: {
      breaches: (value) => compare?.(value, Threshold) === true,
      evaluationPeriods: EvaluationPeriods,
      datapointsToAlarm: DatapointsToAlarm,
      missingData: TreatMissingData,
    },
    condition: `${ComparisonOperator} ${Threshold} in ${DatapointsToAlarm} of ${EvaluationPeriods} periods of ${period} s`,
    periodMs,
    questions: [...questions.values()],
    single: queries.length === 1 ? questions.get(result.Id) : undefined,
    points(store, to) {
      const seriesOf = (id: string): Points => {
        const expression = expressions.get(id);
        if (expression) return expression.compute(seriesOf);
        const question = questions.get(id);
        if (!question) return [];
        return Array.from({ length: range }, (_, at) => {
          const end = to - (range - 1 - at) * periodMs;
          return store.statistic(question.metric, question.statistic, end - periodMs, end);
        });
      };
      return seriesOf(result.Id);
    },
  };
}

type Query = z.infer<typeof MetricQuery>;

function soleQuery(properties: z.infer<typeof AlarmProperties>): Query {
  const {
    Namespace,
    MetricName,
    Dimensions: dimensions,
    Period: period,
    Statistic: plain,
    ExtendedStatistic,
  } = properties;
  const Stat = plain ?? ExtendedStatistic;
  if (Namespace === undefined || MetricName === undefined || period === undefined || Stat === undefined) {
    throw new Error('Namespace, MetricName, Period and Statistic are needed where there are no Metrics');
  }
  const Metric = { Namespace, MetricName, Dimensions: dimensions };
  return { Id: 'm1', ReturnData: true, MetricStat: { Metric, Period: period, Stat } };
}

function questionsOf(queries: readonly Query[], region: string): Map<string, MetricQuestion> {
  return new Map(
    queries.flatMap(({ Id, Expression, MetricStat }) => {
      if ((Expression === undefined) === (MetricStat === undefined)) {
        throw new Error(`Metrics.${Id}: exactly one of Expression and MetricStat must be given`);
      }
      if (!MetricStat) return [];
      requireStatistic(MetricStat.Stat);
      const { Namespace: namespace, MetricName: name, Dimensions: list } = MetricStat.Metric;
      const dimensions = Object.fromEntries(list.map(({ Name, Value }) => [Name, Value]));
      return [[Id, { metric: { region, namespace, name, dimensions }, statistic: MetricStat.Stat }] as const];
    }),
  );
}

/** An expression may stand on others, but not on itself. */
function requireKnownIds(expressions: ReadonlyMap<string, MathExpression>, known: ReadonlySet<string>): void {
  const visit = (id: string, trail: readonly string[]): void => {
    if (trail.includes(id)) throw new Error(`Metrics: the expressions ${[...trail, id].join(' -> ')} name each other`);
    for (const next of expressions.get(id)?.ids ?? []) {
      if (!known.has(next)) throw new Error(`Metrics.${id}: there is no metric or expression ${next}`);
      visit(next, [...trail, id]);
    }
  };
  for (const id of expressions.keys()) visit(id, []);
}
