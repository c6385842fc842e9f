import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { z } from 'zod';
import { physicalName } from '../engine/physical-name';
import { parseProperties } from '../engine/properties';
import type { Resource, ResourceModule, Running } from '../engine/types';
import type { IamStandIn } from '../iam/iam-stand-in';
import { type Policy, parsePolicy } from '../iam/policy';

/** A message that could not be delivered, with the reason in its attributes. */
export interface QueuedMessage {
  readonly id: string;
  readonly body: string;
  readonly attributes: Readonly<Record<string, string>>;
}

interface QueueEvents {
  message: [message: QueuedMessage];
}

/** Messages kept for each queue; older ones are dropped. */
const MAX_MESSAGES = 1_000;

/** A queue that only collects: dead letters, to be looked at. */
export class Queue extends EventEmitter<QueueEvents> {
  readonly messages: QueuedMessage[] = [];

  constructor(
    readonly arn: string,
    private readonly log: (line: string) => void,
  ) {
    super();
  }

  send(body: string, attributes: Readonly<Record<string, string>>): void {
    const message = { id: randomUUID(), body, attributes };
    this.messages.push(message);
    if (this.messages.length > MAX_MESSAGES) this.messages.shift();
    this.log(`dead letter in ${this.arn}: ${JSON.stringify(attributes)} ${body.slice(0, 300)}`);
    this.emit('message', message);
  }
}

const QueueProperties = z.object({ QueueName: z.string().optional(), FifoQueue: z.literal(false).optional() });
const INERT_QUEUE_PROPERTIES = [
  'KmsDataKeyReusePeriodSeconds',
  'KmsMasterKeyId',
  'MessageRetentionPeriod',
  'SqsManagedSseEnabled',
  'VisibilityTimeout',
];

const QueuePolicy = z.object({ Queues: z.array(z.string()).min(1), PolicyDocument: z.unknown() });

/** SQS, as far as dead-letter queues need it; there is no API. */
export class Queues {
  private readonly queues = new Map<string, Queue>();
  /** By queue ARN. */
  private readonly policies = new Map<string, Policy>();
  private readonly arns = new Map<string, string>();

  constructor(
    private readonly log: (line: string) => void,
    private readonly iam: IamStandIn,
  ) {}

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::SQS::Queue', start: async (resource) => this.startQueue(resource) },
    { type: 'AWS::SQS::QueuePolicy', start: async (resource) => this.startQueuePolicy(resource) },
  ];

  /** Queue by ARN; throws when there is none. */
  required(arn: string): Queue {
    const queue = this.queues.get(arn);
    if (!queue) throw new Error(`there is no queue ${arn}`);
    return queue;
  }

  /** What keeps a service from sending to a queue on behalf of `sourceArn`; `undefined` when nothing does. */
  refusalOfService(queueArn: string, service: string, sourceArn: string): string | undefined {
    return this.iam.refusal(
      { kind: 'service', service },
      {
        action: 'sqs:SendMessage',
        resource: queueArn,
        resourcePolicy: this.policies.get(queueArn),
        context: { 'aws:sourcearn': sourceArn, 'aws:sourceaccount': sourceArn.split(':')[4] ?? '' },
      },
    );
  }

  /** What keeps a function from sending to a queue as its role; `undefined` when nothing does. */
  refusalOfRole(queueArn: string, roleArn: string): string | undefined {
    const question = { action: 'sqs:SendMessage', resource: queueArn, resourcePolicy: this.policies.get(queueArn) };
    return this.iam.missing(roleArn, 'lambda.amazonaws.com', question);
  }

  private startQueuePolicy(resource: Resource): Running {
    const properties = parseProperties(resource, QueuePolicy);
    const policy = parsePolicy(properties.PolicyDocument, 'resource', 'PolicyDocument');
    for (const url of properties.Queues) {
      const arn = this.arns.get(url);
      if (!arn) throw new Error(`Queues: there is no queue ${url}`);
      if (this.policies.has(arn)) throw new Error(`Queues: ${url} has a policy already, which this one would replace`);
      this.policies.set(arn, policy);
    }
    const stop = async () => {
      for (const url of properties.Queues) this.policies.delete(this.arns.get(url) ?? '');
    };
    return { ref: physicalName(resource), stop };
  }

  private startQueue(resource: Resource): Running {
    const name =
      parseProperties(resource, QueueProperties, INERT_QUEUE_PROPERTIES).QueueName ?? physicalName(resource, 80);
    const arn = `arn:aws:sqs:${resource.region}:${resource.account}:${name}`;
    this.queues.set(arn, new Queue(arn, this.log));
    const url = `https://sqs.${resource.region}.amazonaws.com/${resource.account}/${name}`;
    this.arns.set(url, arn);
    return { ref: url, attributes: { Arn: arn, QueueName: name, QueueUrl: url } };
  }
}
