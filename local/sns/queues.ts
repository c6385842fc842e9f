import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { z } from 'zod';
import { physicalName } from '../engine/physical-name';
import { parseProperties } from '../engine/properties';
import type { Resource, ResourceModule, Running } from '../engine/types';

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

const QueuePolicy = z.object({ Queues: z.array(z.string()).min(1), PolicyDocument: z.looseObject({}) });

/** SQS, as far as dead-letter queues need it; there is no API. */
export class Queues {
  private readonly queues = new Map<string, Queue>();

  constructor(private readonly log: (line: string) => void) {}

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::SQS::Queue', start: async (resource) => this.startQueue(resource) },
    {
      type: 'AWS::SQS::QueuePolicy',
      start: async (resource) => {
        parseProperties(resource, QueuePolicy);
        return { ref: physicalName(resource) };
      },
    },
  ];

  /** Queue by ARN; throws when there is none. */
  required(arn: string): Queue {
    const queue = this.queues.get(arn);
    if (!queue) throw new Error(`there is no queue ${arn}`);
    return queue;
  }

  private startQueue(resource: Resource): Running {
    const name =
      parseProperties(resource, QueueProperties, INERT_QUEUE_PROPERTIES).QueueName ?? physicalName(resource, 80);
    const arn = `arn:aws:sqs:${resource.region}:${resource.account}:${name}`;
    this.queues.set(arn, new Queue(arn, this.log));
    const url = `https://sqs.${resource.region}.amazonaws.com/${resource.account}/${name}`;
    return { ref: url, attributes: { Arn: arn, QueueName: name, QueueUrl: url } };
  }
}
