import { RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import {
  Alarm,
  AlarmRule,
  AlarmState,
  CfnAlarm,
  ComparisonOperator,
  CompositeAlarm,
  type IAlarm,
  type IAlarmAction,
  type IMetric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { type ITopic, Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct, type IConstruct } from 'constructs';
import type { EnvironmentConfig } from '../../config';
import { type Runbook, runbookLink } from './runbooks';

export interface AlarmsProps {
  /** Beginning of every alarm's name, and of the topic's; unique in account and region. */
  readonly namePrefix: string;
  /** Who is told, and where the runbooks are published. */
  readonly settings: EnvironmentConfig['alarms'];
}

/** When an alarm fires: the metric is beyond a limit in `periods` of its periods, of the last `outOf`. */
export interface AlarmCondition {
  readonly runbook: Runbook;
  /** One sentence: what is wrong while the alarm fires. */
  readonly meaning: string;
  readonly metric: IMetric;
  /** Fires above this value. Exactly one of `above` and `below` is given. */
  readonly above?: number;
  readonly below?: number;
  readonly periods: number;
  /** By default as many as `periods`. */
  readonly outOf?: number;
  /** What it means when the metric has no value; `well` unless said. */
  readonly silence?: 'well' | 'sick';
  /** Whether the operators are told; `false` for parts of a combined alarm, which tells for them. */
  readonly notifies?: boolean;
}

/**
 * The alarms of one stack: named `<prefix>-<alarm>`, each with its runbook in the description, and a topic that tells the
 * operators. The topic has a key of its own, for CloudWatch may not use the one that SNS has by default.
 * Source: CloudWatch user guide, "Amazon SNS and alarms".
 */
export class Alarms extends Construct {
  readonly topic: Topic;
  private readonly action: IAlarmAction;
  private readonly known: IAlarm[] = [];

  constructor(
    scope: Construct,
    id: string,
    private readonly props: AlarmsProps,
  ) {
    super(scope, id);
    const key = new Key(this, 'Key', {
      description: `${props.namePrefix}: messages of alarms`,
      enableKeyRotation: true,
      // Nothing that it encrypts is kept: messages are read within seconds.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.topic = new Topic(this, 'Topic', {
      topicName: `${props.namePrefix}-alarms`,
      masterKey: key,
      enforceSSL: true,
    });
    const onlyOwn = { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } };
    const cloudWatch = new ServicePrincipal('cloudwatch.amazonaws.com', { conditions: onlyOwn });
    key.grantEncryptDecrypt(cloudWatch);
    this.topic.grantPublish(cloudWatch);
    for (const address of props.settings.emails) {
      const subscription = this.topic.addSubscription(new EmailSubscription(address));
      Validations.of(subscription).acknowledge({
        id: 'Serverless-SNSRedrivePolicy',
        reason: 'A message to operators: once it cannot be mailed, the state of the alarm is still in CloudWatch.',
      });
    }
    // The assertion is for exactOptionalPropertyTypes alone; see EdgeNetwork.
    this.action = new SnsAction(this.topic as ITopic);
  }

  /** Every alarm so far, in the order of their making. */
  get all(): readonly IAlarm[] {
    return this.known;
  }

  /** @param name last part of the alarm's name */
  add(name: string, condition: AlarmCondition): Alarm {
    const { above, below, metric, periods, outOf = periods, silence = 'well', notifies = true } = condition;
    const threshold = above ?? below;
    if (threshold === undefined || (above !== undefined && below !== undefined)) {
      throw new Error(`alarm ${name}: exactly one of above and below must be given`);
    }
    const alarm = new Alarm(this, name, {
      alarmName: `${this.props.namePrefix}-${name}`,
      alarmDescription: this.describe(condition.meaning, condition.runbook),
      metric,
      threshold,
      comparisonOperator:
        above === undefined ? ComparisonOperator.LESS_THAN_THRESHOLD : ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: outOf,
      datapointsToAlarm: periods,
      treatMissingData: silence === 'sick' ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
    });
    if (notifies) this.notify(alarm);
    this.known.push(alarm);
    return alarm;
  }

  /** An alarm that fires while any of the others does. */
  any(name: string, runbook: Runbook, meaning: string, alarms: readonly IAlarm[]): CompositeAlarm {
    return this.combine(name, runbook, meaning, AlarmRule.anyOf(...alarms.map(firing)));
  }

  /** An alarm that fires while all of the others do. */
  every(name: string, runbook: Runbook, meaning: string, alarms: readonly IAlarm[]): CompositeAlarm {
    return this.combine(name, runbook, meaning, AlarmRule.allOf(...alarms.map(firing)));
  }

  /**
   * Takes in the alarms that another construct has made for a purpose of its own: describes them, and lets the operators
   * be told.
   * @param pages runbook of each, by its id in the tree
   * @throws Error for an alarm without a page
   */
  adopt(scope: IConstruct, pages: Readonly<Record<string, Runbook>>): Record<string, Alarm> {
    const adopted: Record<string, Alarm> = {};
    for (const child of scope.node.findAll()) {
      if (!(child instanceof Alarm)) continue;
      const runbook = pages[child.node.id];
      const resource = child.node.defaultChild;
      if (!runbook) throw new Error(`alarm ${child.node.path} has no runbook`);
      if (!(resource instanceof CfnAlarm)) throw new Error(`alarm ${child.node.path} has no CfnAlarm`);
      resource.alarmDescription = this.describe(resource.alarmDescription ?? child.node.id, runbook);
      this.notify(child);
      this.known.push(child);
      adopted[child.node.id] = child;
    }
    return adopted;
  }

  private combine(
    name: string,
    runbook: Runbook,
    meaning: string,
    alarmRule: ConstructorParameters<typeof CompositeAlarm>[2]['alarmRule'],
  ): CompositeAlarm {
    const alarm = new CompositeAlarm(this, name, {
      compositeAlarmName: `${this.props.namePrefix}-${name}`,
      alarmDescription: this.describe(meaning, runbook),
      alarmRule,
    });
    this.notify(alarm);
    this.known.push(alarm);
    return alarm;
  }

  /** Once when it fires, and once when it is over. */
  private notify(alarm: Alarm | CompositeAlarm): void {
    alarm.addAlarmAction(this.action);
    alarm.addOkAction(this.action);
  }

  private describe(meaning: string, runbook: Runbook): string {
    return `${meaning}. Runbook: ${runbookLink(runbook, this.props.settings.runbooksUrl)}`;
  }
}

function firing(alarm: IAlarm) {
  return AlarmRule.fromAlarm(alarm, AlarmState.ALARM);
}
