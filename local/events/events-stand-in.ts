import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { physicalName } from '../engine/physical-name';
import { parseProperties } from '../engine/properties';
import type { Resource, ResourceModule, Running } from '../engine/types';
import type { LambdaStandIn } from '../lambda/lambda-stand-in';

const UNIT_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

const RuleProperties = z.object({
  Name: z.string().optional(),
  State: z.enum(['ENABLED', 'DISABLED']).default('ENABLED'),
  ScheduleExpression: z
    .string()
    .regex(/^rate\([1-9]\d* (minute|hour|day)s?\)$/, { error: 'only rate(<n> <unit>) is run here' }),
  Targets: z.array(z.strictObject({ Id: z.string(), Arn: z.string(), Input: z.string().optional() })).default([]),
});

interface Target {
  /** Where the target was declared, for findings. */
  readonly origin: string;
  readonly ruleArn: string;
  readonly functionArn: string;
}

/**
 * EventBridge, as far as rules by rate that invoke functions. As there, the first event comes one period after the
 * rule was made. Source: EventBridge user guide, "Schedule types".
 */
export class EventsStandIn {
  private readonly targets: Target[] = [];
  /** Sends one event of a rule to each of its targets. */
  private readonly rules = new Set<() => readonly { functionArn: string; event: string }[]>();

  constructor(private readonly lambda: LambdaStandIn) {}

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::Events::Rule', start: async (resource) => this.startRule(resource) },
  ];

  /** Targets whose function does not permit its rule: EventBridge would drop every event. */
  findings(): string[] {
    return this.targets
      .filter(({ functionArn, ruleArn }) => !this.lambda.permits(functionArn, 'events.amazonaws.com', ruleArn))
      .map(
        ({ origin, functionArn, ruleArn }) =>
          `${origin}: ${functionArn} has no AWS::Lambda::Permission for events.amazonaws.com from ${ruleArn}`,
      );
  }

  /**
   * Lets one period of every enabled rule pass now.
   *
   * @throws with what functions that failed said.
   */
  async firePeriod(): Promise<void> {
    const events = [...this.rules].flatMap((eventsOf) => eventsOf());
    const results = await Promise.all(
      events.map(({ functionArn, event }) => this.lambda.find(functionArn, '')?.invoke(event)),
    );
    const failures = results.flatMap((result) => (result?.functionError ? [result.payload] : []));
    if (failures.length > 0) throw new Error(failures.join('; '));
  }

  private startRule(resource: Resource): Running {
    const properties = parseProperties(resource, RuleProperties, ['Description']);
    const name = properties.Name ?? physicalName(resource);
    const ruleArn = `arn:aws:events:${resource.region}:${resource.account}:rule/${name}`;
    for (const { Arn } of properties.Targets) {
      if (!this.lambda.find(Arn, resource.region)) throw new Error(`Targets: there is no function ${Arn}`);
      this.targets.push({ origin: `${resource.stackName}/${resource.logicalId}`, ruleArn, functionArn: Arn });
    }
    const eventsOf = () =>
      properties.Targets.map(({ Arn, Input }) => ({
        functionArn: Arn,
        event: Input ?? JSON.stringify(scheduledEvent(resource, ruleArn)),
      }));
    const fire = () => {
      for (const { functionArn, event } of eventsOf()) this.lambda.find(functionArn, '')?.invokeLater(event);
    };
    const enabled = properties.State === 'ENABLED';
    const timer = enabled ? setInterval(fire, periodMs(properties.ScheduleExpression)) : undefined;
    if (enabled) this.rules.add(eventsOf);
    const stop = async () => {
      clearInterval(timer);
      this.rules.delete(eventsOf);
    };
    return { ref: name, attributes: { Arn: ruleArn }, stop };
  }
}

function periodMs(expression: string): number {
  const [, count, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? [];
  return Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
}

function scheduledEvent({ region, account }: Resource, ruleArn: string): object {
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': 'Scheduled Event',
    source: 'aws.events',
    account,
    time: new Date().toISOString(),
    region,
    resources: [ruleArn],
    detail: {},
  };
}
