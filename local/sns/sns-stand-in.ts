import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type QueryParameters, queryApi } from '../aws-front/query-protocol';
import { ServiceError } from '../aws-front/service-error';
import { physicalName } from '../engine/physical-name';
import { parseProperties } from '../engine/properties';
import type { AwsApi, Resource, ResourceModule, Running } from '../engine/types';
import { type Policy, parsePolicy } from '../iam/policy';
import type { LambdaStandIn } from '../lambda/lambda-stand-in';
import type { Queues } from './queues';
import { type Notification, snsEvent } from './sns-event';

/** Largest message, bytes (SNS quotas). */
const MAX_MESSAGE_BYTES = 256 * 1024;

const SNS = 'sns.amazonaws.com';

const TopicProperties = z.object({
  TopicName: z.string().optional(),
  FifoTopic: z.literal(false, { error: 'FIFO topics do not deliver to Lambda' }).optional(),
});

const SubscriptionProperties = z.object({
  TopicArn: z.string(),
  Protocol: z.literal('lambda', { error: 'only subscriptions of protocol lambda are run here' }),
  Endpoint: z.string(),
  RedrivePolicy: z.object({ deadLetterTargetArn: z.string() }).optional(),
});

const TopicPolicy = z.object({ Topics: z.array(z.string()).min(1), PolicyDocument: z.unknown() });

interface Subscription {
  readonly arn: string;
  readonly topicArn: string;
  readonly functionArn: string;
  readonly deadLetterArn: string | undefined;
  /** Where it stands in the templates, for findings. */
  readonly origin: string;
}

/** SNS: standard topics that hand each message to every subscribed function. */
export class SnsStandIn {
  private readonly topics = new Set<string>();
  /** By topic ARN. */
  private readonly policies = new Map<string, Policy>();
  private readonly subscriptions: Subscription[] = [];

  constructor(
    private readonly lambda: LambdaStandIn,
    private readonly queues: Queues,
  ) {}

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::SNS::Topic', start: async (resource) => this.startTopic(resource) },
    { type: 'AWS::SNS::Subscription', start: async (resource) => this.startSubscription(resource) },
    {
      type: 'AWS::SNS::TopicPolicy',
      start: async (resource) => {
        const { Topics, PolicyDocument } = parseProperties(resource, TopicPolicy);
        const policy = parsePolicy(PolicyDocument, 'resource', 'PolicyDocument');
        for (const topic of Topics) this.policies.set(topic, policy);
        const stop = async () => {
          for (const topic of Topics) this.policies.delete(topic);
        };
        return { ref: physicalName(resource), stop };
      },
    },
  ];

  readonly api: AwsApi = queryApi(
    'sns',
    {
      Publish: (parameters, { region }) => {
        const topicArn = this.topicOf(parameters, region);
        return { MessageId: this.publish(readNotification(parameters, topicArn, '')) };
      },
      PublishBatch: (parameters, { region }) => {
        const topicArn = this.topicOf(parameters, region);
        const entries = parameters.items('PublishBatchRequestEntries.member');
        if (entries.length === 0) throw new ServiceError('EmptyBatchRequest', 'The batch request contains no entries.');
        if (entries.length > 10)
          throw new ServiceError('TooManyEntriesInBatchRequest', 'A batch has at most 10 entries.');
        const member = entries.map((entry) => ({
          Id: parameters.required(`${entry}.Id`),
          MessageId: this.publish(readNotification(parameters, topicArn, `${entry}.`)),
        }));
        return { Successful: { member }, Failed: '' };
      },
    },
    (_, parameters, context) => {
      const topicArn = parameters.required('TopicArn');
      context.authorize('sns:Publish', topicArn, { resourcePolicy: this.policies.get(topicArn) });
    },
  );

  /** Subscriptions whose function or dead-letter queue does not permit its topic: SNS would drop the messages. */
  findings(): string[] {
    return this.subscriptions.flatMap(({ origin, functionArn, topicArn, deadLetterArn }) => {
      const refused = this.lambda.permits(functionArn, SNS, topicArn)
        ? []
        : [`${origin}: ${functionArn} has no AWS::Lambda::Permission for ${SNS} from ${topicArn}`];
      const undeliverable = deadLetterArn && this.queues.refusalOfService(deadLetterArn, SNS, topicArn);
      return undeliverable ? [...refused, `${origin}: ${undeliverable}`] : refused;
    });
  }

  /** Hands a notification to every subscription of its topic, at least once, in no order. */
  private publish(notification: Notification): string {
    for (const subscription of this.subscriptions.filter(({ topicArn }) => topicArn === notification.topicArn)) {
      const event = JSON.stringify(snsEvent(notification, subscription.arn));
      const { functionArn, topicArn, deadLetterArn } = subscription;
      const lambda = this.lambda.find(functionArn, '');
      if (lambda && this.lambda.permits(functionArn, SNS, topicArn)) {
        // SNS has delivered once Lambda has accepted the event; what fails later is Lambda's to retry.
        lambda.invokeLater(event);
      } else if (deadLetterArn && !this.queues.refusalOfService(deadLetterArn, SNS, topicArn)) {
        this.queues
          .required(deadLetterArn)
          .send(event, { ErrorMessage: `${functionArn} cannot be invoked by ${topicArn}` });
      }
    }
    return notification.messageId;
  }

  private topicOf(parameters: QueryParameters, region: string): string {
    const arn = parameters.required('TopicArn');
    if (arn.split(':')[3] !== region) {
      throw new ServiceError('InvalidParameter', `Invalid parameter: TopicArn ${arn} is not in ${region}`);
    }
    if (!this.topics.has(arn)) throw new ServiceError('NotFound', `Topic does not exist: ${arn}`, 404);
    return arn;
  }

  private startTopic(resource: Resource): Running {
    const inert = ['DisplayName', 'KmsMasterKeyId', 'SignatureVersion', 'TracingConfig'];
    const name = parseProperties(resource, TopicProperties, inert).TopicName ?? physicalName(resource, 256);
    const arn = `arn:aws:sns:${resource.region}:${resource.account}:${name}`;
    this.topics.add(arn);
    return { ref: arn, attributes: { TopicArn: arn, TopicName: name }, stop: async () => void this.topics.delete(arn) };
  }

  private startSubscription(resource: Resource): Running {
    const properties = parseProperties(resource, SubscriptionProperties);
    const { TopicArn, Endpoint, RedrivePolicy } = properties;
    if (!this.topics.has(TopicArn)) throw new Error(`TopicArn: there is no topic ${TopicArn}`);
    if (!this.lambda.find(Endpoint, resource.region)) throw new Error(`Endpoint: there is no function ${Endpoint}`);
    const deadLetterArn = RedrivePolicy?.deadLetterTargetArn;
    if (deadLetterArn) this.queues.required(deadLetterArn);
    const arn = `${TopicArn}:${randomUUID()}`;
    this.subscriptions.push({
      ...{ arn, topicArn: TopicArn, functionArn: Endpoint, deadLetterArn },
      origin: `stack ${resource.stackName}, resource ${resource.logicalId}`,
    });
    return { ref: arn, attributes: { Arn: arn } };
  }
}

function readNotification(parameters: QueryParameters, topicArn: string, prefix: string): Notification {
  const message = parameters.required(`${prefix}Message`);
  if (Buffer.byteLength(message) > MAX_MESSAGE_BYTES) {
    throw new ServiceError('InvalidParameter', `Invalid parameter: Message is over ${MAX_MESSAGE_BYTES} bytes`);
  }
  const attributes = parameters
    .items(`${prefix}MessageAttributes.entry`)
    .map((entry): [string, { Type: string; Value: string }] => [
      parameters.required(`${entry}.Name`),
      {
        Type: parameters.required(`${entry}.Value.DataType`),
        Value: parameters.optional(`${entry}.Value.StringValue`) ?? parameters.required(`${entry}.Value.BinaryValue`),
      },
    ]);
  return {
    messageId: randomUUID(),
    topicArn,
    message,
    subject: parameters.optional(`${prefix}Subject`),
    attributes: Object.fromEntries(attributes),
    timestamp: new Date().toISOString(),
  };
}
