import { z } from 'zod';
import { physicalName } from '../engine/physical-name';
import { parseProperties } from '../engine/properties';
import type { Resource, ResourceModule, Running } from '../engine/types';
import { type AlarmDefinition, alarmDefinition } from './alarm-definition';
import { type AlarmRule, parseAlarmRule } from './alarm-rule';
import { type AlarmState, alarmState, evaluationRange } from './alarm-state';
import { requireSource } from './metric-sources';
import type { MetricStore } from './metric-store';

const MINUTE_MS = 60_000;

/** What is measured in a minute may take so long to arrive. */
const SETTLE_MS = 5_000;

const CompositeProperties = z.object({ AlarmName: z.string().optional(), AlarmRule: z.string() });
const COMPOSITE_INERT = [
  ...['AlarmDescription', 'ActionsEnabled', 'AlarmActions', 'OKActions', 'InsufficientDataActions'],
];

/** An alarm as others see it. */
export interface Alarm {
  readonly name: string;
  readonly region: string;
  readonly state: AlarmState;
  /** Of an alarm on metrics; absent for a composite one. */
  readonly definition: AlarmDefinition | undefined;
}

interface KnownAlarm extends Alarm {
  readonly arn: string;
  readonly rule: AlarmRule | undefined;
  state: AlarmState;
}

export interface CloudWatchOptions {
  readonly metrics: MetricStore;
  readonly log: (line: string) => void;
  /** Puts what is not told by itself into the store, before alarms are looked at; told the minute's end, ms since 1970. */
  readonly collect?: (to: number) => void;
}

/**
 * CloudWatch's alarms: evaluated once a minute over windows that end at the last whole minute, so the windows of longer
 * periods overlap. A state that changes is told in the log; nobody is notified.
 * Source: CloudWatch user guide, "Using Amazon CloudWatch alarms".
 */
export class CloudWatchStandIn {
  private readonly alarms = new Map<string, KnownAlarm>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: CloudWatchOptions) {}

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::CloudWatch::Alarm', start: async (resource) => this.startAlarm(resource) },
    { type: 'AWS::CloudWatch::CompositeAlarm', start: async (resource) => this.startComposite(resource) },
  ];

  /** The alarm of this name, or ARN, in a region. */
  find(region: string, name: string): Alarm | undefined {
    const [, , , arnRegion, , , arnName] = name.startsWith('arn:') ? name.split(':') : [];
    return this.alarms.get(`${arnRegion ?? region}/${arnName ?? name}`);
  }

  /** Evaluates every alarm after each minute, until `close`. */
  watch(): void {
    const toNext = MINUTE_MS - ((Date.now() - SETTLE_MS) % MINUTE_MS);
    this.timer = setTimeout(() => {
      this.evaluate(Date.now());
      this.watch();
    }, toNext);
    this.timer.unref();
  }

  close(): void {
    clearTimeout(this.timer);
  }

  /** Evaluates every alarm over what was measured before the minute of `now`, ms since 1970, began. */
  evaluate(now: number): void {
    const to = Math.floor(now / MINUTE_MS) * MINUTE_MS;
    this.options.collect?.(to);
    for (const alarm of this.alarms.values()) {
      const { definition } = alarm;
      if (!definition) continue;
      const points = definition.points(this.options.metrics, to);
      const reason = `${definition.condition}: ${points.map((point) => point ?? 'no data').join(', ')}`;
      this.change(alarm, alarmState(definition.rules, points, alarm.state), reason);
    }
    // An alarm may stand on composite ones that were made before it.
    for (const alarm of this.alarms.values()) {
      const { rule, region } = alarm;
      if (!rule) continue;
      const fires = rule.fires((name) => this.required(region, name).state);
      const causes = [...rule.alarms].map((name) => this.required(region, name));
      this.change(
        alarm,
        fires ? 'ALARM' : 'OK',
        causes
          .filter(({ state }) => state === 'ALARM')
          .map(({ name }) => name)
          .join(', ') || 'none fires',
      );
    }
  }

  private change(alarm: KnownAlarm, state: AlarmState, reason: string): void {
    if (alarm.state === state) return;
    this.options.log(`alarm ${alarm.name} of ${alarm.region}: ${alarm.state} -> ${state} (${reason})`);
    alarm.state = state;
  }

  private required(region: string, name: string): Alarm {
    const alarm = this.find(region, name);
    if (!alarm) throw new Error(`there is no alarm ${name} in ${region}`);
    return alarm;
  }

  private startAlarm(resource: Resource): Running {
    const definition = alarmDefinition(resource);
    const { questions, periodMs, rules } = definition;
    for (const { metric, statistic } of questions) {
      requireSource(metric);
      this.options.metrics.watch(metric, statistic, (evaluationRange(rules) + 1) * periodMs);
    }
    return this.add(resource, { definition, rule: undefined });
  }

  private startComposite(resource: Resource): Running {
    const { AlarmRule: text } = parseProperties(resource, CompositeProperties, COMPOSITE_INERT);
    const rule = parseAlarmRule(text);
    for (const name of rule.alarms) {
      if (!this.find(resource.region, name)) {
        throw new Error(`AlarmRule: there is no alarm ${name} in ${resource.region}`);
      }
    }
    return this.add(resource, { definition: undefined, rule });
  }

  private add(resource: Resource, kind: Pick<KnownAlarm, 'definition' | 'rule'>): Running {
    const { AlarmName } = resource.properties;
    const { region, account } = resource;
    const name = typeof AlarmName === 'string' ? AlarmName : physicalName(resource, 255);
    const key = `${region}/${name}`;
    if (this.alarms.has(key)) throw new Error(`AlarmName: ${region} has an alarm ${name} already`);
    const arn = `arn:aws:cloudwatch:${region}:${account}:alarm:${name}`;
    this.alarms.set(key, { name, region, arn, state: 'INSUFFICIENT_DATA', ...kind });
    return {
      ref: name,
      attributes: { Arn: arn },
      stop: async () => {
        this.alarms.delete(key);
      },
    };
  }
}
