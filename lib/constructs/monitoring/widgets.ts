import { AlarmStatusWidget, GraphWidget, type IAlarm, type IMetric, TextWidget } from 'aws-cdk-lib/aws-cloudwatch';

/** Width of a dashboard in its own units. */
const FULL_WIDTH = 24;
const HEIGHT = 6;

/** What a graph shows. */
export interface Graph {
  readonly title: string;
  readonly metrics: readonly IMetric[];
  /** Metrics on the right axis. */
  readonly right?: readonly IMetric[];
  /** Unit of the left axis. */
  readonly unit?: string;
  /** Greatest value of the left axis; as the data say unless given. */
  readonly max?: number;
  /** A line at a limit. */
  readonly limit?: { readonly value: number; readonly label: string };
}

/** Graphs side by side, over the whole width. */
export function row(...graphs: readonly Graph[]): GraphWidget[] {
  const width = FULL_WIDTH / graphs.length;
  return graphs.map(
    ({ title, metrics, right = [], unit, max, limit }) =>
      new GraphWidget({
        title,
        width,
        height: HEIGHT,
        left: [...metrics],
        right: [...right],
        leftYAxis: {
          min: 0,
          ...(max === undefined ? {} : { max }),
          ...(unit === undefined ? {} : { label: unit }),
          showUnits: unit === undefined,
        },
        ...(limit === undefined ? {} : { leftAnnotations: [limit] }),
      }),
  );
}

export function alarmStates(title: string, alarms: readonly IAlarm[]): AlarmStatusWidget {
  return new AlarmStatusWidget({ title, alarms: [...alarms], width: FULL_WIDTH, height: HEIGHT });
}

/** @param markdown text, in CloudWatch's Markdown */
export function text(markdown: string): TextWidget {
  return new TextWidget({ markdown, width: FULL_WIDTH, height: 2 });
}
