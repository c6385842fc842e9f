import { z } from 'zod';
import type { MetricStore, ValueCounts } from './metric-store';

/** The member by which a line of a log says that it holds metrics. */
const METADATA = '_aws';

const Document = z.looseObject({
  _aws: z.looseObject({
    Timestamp: z.number(),
    CloudWatchMetrics: z.array(
      z.looseObject({
        Namespace: z.string().min(1),
        Dimensions: z.array(z.array(z.string()).max(30)),
        Metrics: z.array(z.looseObject({ Name: z.string().min(1) })).max(100),
      }),
    ),
  }),
});

const Distribution = z.looseObject({ Values: z.array(z.number()).max(100), Counts: z.array(z.number()).max(100) });
const MetricValue = z.union([z.number(), z.array(z.number()).max(100), Distribution]);

/**
 * What CloudWatch Logs does with a line of a log: one in the embedded metric format becomes metrics, any other does not.
 * Source: CloudWatch user guide, "Specification: Embedded metric format".
 *
 * @returns what is wrong with a line that says it holds metrics and does not, `undefined` otherwise
 */
export function takeEmbeddedMetrics(store: MetricStore, region: string, line: string): string | undefined {
  if (!line.includes(`"${METADATA}"`)) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null || !(METADATA in json)) return undefined;
  const parsed = Document.safeParse(json);
  if (!parsed.success) return z.prettifyError(parsed.error).replaceAll('\n', ' ');
  const { _aws, ...members } = parsed.data;
  for (const { Namespace: namespace, Dimensions, Metrics } of _aws.CloudWatchMetrics) {
    for (const { Name: name } of Metrics) {
      const value = MetricValue.safeParse(members[name]);
      if (!value.success) return `metric ${name} has no number in the line, and no distribution of numbers`;
      for (const names of Dimensions) {
        const lost = names.find((dimension) => typeof members[dimension] !== 'string');
        if (lost !== undefined) return `dimension ${lost} of metric ${name} has no text in the line`;
        const dimensions = Object.fromEntries(names.map((dimension) => [dimension, String(members[dimension])]));
        store.put({ region, namespace, name, dimensions }, counted(value.data), _aws.Timestamp);
      }
    }
  }
  return undefined;
}

function counted(value: z.infer<typeof MetricValue>): ValueCounts {
  if (typeof value === 'number') return { values: [value], counts: [1] };
  if (Array.isArray(value)) return { values: value, counts: value.map(() => 1) };
  return { values: value.Values, counts: value.Counts };
}
