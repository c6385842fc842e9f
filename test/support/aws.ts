import { createHash, randomUUID } from 'node:crypto';
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { CloudFrontClient } from '@aws-sdk/client-cloudfront';
import {
  CloudFrontKeyValueStoreClient,
  ConflictException,
  ResourceNotFoundException,
} from '@aws-sdk/client-cloudfront-keyvaluestore';
import { ElastiCacheClient } from '@aws-sdk/client-elasticache';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { HealthCheckVersionMismatch, Route53Client } from '@aws-sdk/client-route-53';
import { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SNSClient } from '@aws-sdk/client-sns';
import { z } from 'zod';
import type { AwsClients, ControlPlane } from '../../lib/control/plane';
import type { Clock } from '../../lib/control/polling';
import { FakeRegion } from './aws-region';

const NAMES = { region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };

/** The part of an SDK client by which a call is answered before it leaves the process. */
interface Stubbable {
  readonly middlewareStack: {
    add(
      middleware: (
        next: unknown,
        context: { readonly commandName?: string },
      ) => (args: { readonly input: object }) => Promise<{ output: never; response: unknown }>,
      options: { step: 'initialize'; name: string },
    ): void;
  };
}

/** Makes a real SDK client answer from `answer` instead of sending requests. */
export function stubbed<C>(client: C & Stubbable, answer: (command: string, input: object) => unknown): C {
  client.middlewareStack.add(
    (_next, { commandName = '' }) =>
      async ({ input }) => ({ output: (await answer(commandName, input)) as never, response: {} }),
    { step: 'initialize', name: 'answerInProcess' },
  );
  return client;
}

/** A clock that only moves when somebody sleeps. */
export class FakeClock implements Clock {
  private time = 0;

  now(): number {
    return this.time;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.time += ms;
  }
}

interface StoredObject {
  readonly body: Buffer;
  readonly etag: string;
  readonly input: Readonly<Record<string, unknown>>;
  headsUntilReplicated: number;
}

const PutInput = z.looseObject({
  Bucket: z.string(),
  Key: z.string(),
  Body: z.instanceof(Buffer),
  IfMatch: z.string().optional(),
  IfNoneMatch: z.string().optional(),
  ChecksumSHA256: z.string(),
});
const KeyInput = z.looseObject({ Bucket: z.string(), Key: z.string() });
const MessageInput = z.looseObject({ TopicArn: z.string(), Message: z.string() });
const InvokeInput = z.looseObject({ FunctionName: z.string(), Payload: z.instanceof(Uint8Array) });
const UpdateInput = z.looseObject({
  IfMatch: z.string(),
  Puts: z.array(z.object({ Key: z.string(), Value: z.string() })),
});
const HealthCheckInput = z.looseObject({
  HealthCheckId: z.string(),
  HealthCheckVersion: z.number().optional(),
  Disabled: z.boolean().optional(),
  Inverted: z.boolean().optional(),
});
const InvalidationInput = z.looseObject({
  InvalidationBatch: z.object({ CallerReference: z.string(), Paths: z.object({ Items: z.array(z.string()) }) }),
});

/** An AWS account in memory, with what the control library uses of it and one live edge task a region. */
export class FakeAccount {
  readonly clock = new FakeClock();
  readonly objects = new Map<string, StoredObject>();
  readonly keyValues = new Map<string, string>();
  readonly invalidations: { readonly reference: string; readonly items: readonly string[] }[] = [];
  /** What happened, in order: `put <key>`, `<kind> <region>`, `kvs <key>=<value>`, `cloudfront <items>`. */
  readonly events: string[] = [];
  readonly regions: ReadonlyMap<string, FakeRegion>;
  /** Answers of HeadObject before an object counts as replicated. */
  replicationHeads = 2;
  replicationStatus: 'COMPLETED' | 'FAILED' | undefined = 'COMPLETED';
  /** Updates of the KeyValueStore that somebody else wins. */
  keyValueConflicts = 0;
  private keyValueRevision = 1;
  /** Each region's health check, by its id `hc-<region>`. */
  readonly healthChecks = new Map<string, { disabled: boolean; inverted: boolean; version: number }>();
  /** Updates of health checks that somebody else wins. */
  healthCheckConflicts = 0;

  constructor(private readonly regionNames: readonly string[] = ['us-east-1', 'eu-west-1', 'ap-northeast-1']) {
    for (const name of regionNames) {
      this.healthChecks.set(`hc-${name}`, { disabled: false, inverted: false, version: 1 });
    }
    this.regions = new Map(regionNames.map((name) => [name, new FakeRegion(name, (key) => this.readText(key))]));
  }

  region(name: string): FakeRegion {
    const region = this.regions.get(name);
    if (!region) throw new Error(`the fake account has no region ${name}`);
    return region;
  }

  plane(): ControlPlane {
    return {
      scope: { environment: 'dev', account: '111122223333' },
      homeRegion: this.regionNames[0] ?? '',
      regions: this.regionNames,
      distributionId: 'E123',
      keyValueStoreArn: 'arn:aws:cloudfront::111122223333:key-value-store/kvs',
      clients: this.clients(),
      clock: this.clock,
    };
  }

  readText(key: string): string | undefined {
    return this.objects.get(key)?.body.toString('utf8');
  }

  private clients(): AwsClients {
    return {
      s3: () => stubbed(new S3Client(NAMES), (command, input) => this.s3(command, input)),
      sns: (region) => stubbed(new SNSClient(NAMES), (_command, input) => this.publish(region, input)),
      lambda: (region) => stubbed(new LambdaClient(NAMES), (_command, input) => this.invoke(region, input)),
      elastiCache: (region) => stubbed(new ElastiCacheClient(NAMES), () => this.region(region).replicationGroups()),
      cloudFormation: (region) =>
        stubbed(new CloudFormationClient(NAMES), () => ({
          Stacks: [{ Outputs: [{ OutputKey: 'HealthCheckId', OutputValue: `hc-${region}` }] }],
        })),
      cloudFront: stubbed(new CloudFrontClient(NAMES), (command, input) => this.cloudFront(command, input)),
      keyValueStore: stubbed(new CloudFrontKeyValueStoreClient(NAMES), (command, input) => this.kvs(command, input)),
      route53: stubbed(new Route53Client(NAMES), (command, input) => this.healthCheck(command, input)),
      secrets: stubbed(new SecretsManagerClient(NAMES), (command) => {
        throw new Error(`${command}: this account has no secrets`);
      }),
    };
  }

  private s3(command: string, input: object): unknown {
    if (command === 'PutObjectCommand') return this.putObject(input);
    if (command === 'ListObjectsV2Command') {
      const { Prefix } = z.looseObject({ Prefix: z.string() }).parse(input);
      return { Contents: [...this.objects.keys()].filter((key) => key.startsWith(Prefix)).map((Key) => ({ Key })) };
    }
    const { Key } = KeyInput.parse(input);
    const stored = this.objects.get(Key);
    if (!stored) throw s3Error('NotFound', 404);
    if (command === 'HeadObjectCommand') {
      const pending = stored.headsUntilReplicated-- > 0;
      return {
        ETag: stored.etag,
        ChecksumSHA256: createHash('sha256').update(stored.body).digest('base64'),
        ReplicationStatus: pending ? 'PENDING' : this.replicationStatus,
      };
    }
    return { ETag: stored.etag, Body: { transformToString: async () => stored.body.toString('utf8') } };
  }

  private putObject(input: object): unknown {
    const put = PutInput.parse(input);
    const checksum = createHash('sha256').update(put.Body).digest('base64');
    if (checksum !== put.ChecksumSHA256) throw s3Error('BadDigest', 400);
    const current = this.objects.get(put.Key);
    if (put.IfNoneMatch === '*' && current) throw s3Error('PreconditionFailed', 412);
    if (put.IfMatch !== undefined && put.IfMatch !== current?.etag) throw s3Error('PreconditionFailed', 412);
    const etag = `"${randomUUID()}"`;
    this.objects.set(put.Key, { body: put.Body, etag, input: put, headsUntilReplicated: this.replicationHeads });
    this.events.push(`put ${put.Key}`);
    return { ETag: etag };
  }

  private publish(region: string, input: object): unknown {
    const { TopicArn, Message } = MessageInput.parse(input);
    if (TopicArn !== `arn:aws:sns:${region}:111122223333:mlcdn-dev-control`) throw new Error(`no topic ${TopicArn}`);
    const kind = this.region(region).deliver(Message);
    this.events.push(`${kind} ${region}`);
    return { MessageId: randomUUID() };
  }

  private invoke(region: string, input: object): unknown {
    const { FunctionName, Payload } = InvokeInput.parse(input);
    if (FunctionName !== 'mlcdn-dev-status') throw new Error(`no function ${FunctionName}`);
    const answer = this.region(region).answerStatus(Buffer.from(Payload).toString('utf8'));
    return { StatusCode: 200, ...answer };
  }

  private kvs(command: string, input: object): unknown {
    const etag = `v${this.keyValueRevision}`;
    if (command === 'DescribeKeyValueStoreCommand') return { ETag: etag };
    if (command === 'GetKeyCommand') {
      const { Key } = z.looseObject({ Key: z.string() }).parse(input);
      const value = this.keyValues.get(Key);
      if (value === undefined) throw new ResourceNotFoundException({ message: Key, $metadata: {} });
      return { Key, Value: value };
    }
    const { IfMatch, Puts } = UpdateInput.parse(input);
    if (this.keyValueConflicts > 0) {
      this.keyValueConflicts -= 1;
      this.keyValueRevision += 1;
    }
    if (IfMatch !== `v${this.keyValueRevision}`) throw new ConflictException({ message: 'stale', $metadata: {} });
    this.keyValueRevision += 1;
    for (const { Key, Value } of Puts) {
      this.keyValues.set(Key, Value);
      this.events.push(`kvs ${Key}=${Value}`);
    }
    return { ETag: `v${this.keyValueRevision}` };
  }

  private healthCheck(command: string, input: object): unknown {
    const { HealthCheckId, HealthCheckVersion, Disabled, Inverted } = HealthCheckInput.parse(input);
    const check = this.healthChecks.get(HealthCheckId);
    if (!check) throw new Error(`no health check ${HealthCheckId}`);
    if (command === 'UpdateHealthCheckCommand') {
      if (this.healthCheckConflicts > 0) {
        this.healthCheckConflicts -= 1;
        check.version += 1;
      }
      if (HealthCheckVersion !== check.version) {
        throw new HealthCheckVersionMismatch({ message: 'stale', $metadata: {} });
      }
      Object.assign(check, { disabled: Disabled, inverted: Inverted, version: check.version + 1 });
      this.events.push(`health check ${HealthCheckId} ${Disabled && Inverted ? 'drained' : 'followed'}`);
    }
    const HealthCheckConfig = { Disabled: check.disabled, Inverted: check.inverted };
    return { HealthCheck: { Id: HealthCheckId, HealthCheckVersion: check.version, HealthCheckConfig } };
  }

  private cloudFront(command: string, input: object): unknown {
    if (command === 'GetInvalidationCommand') return { Invalidation: { Status: 'Completed' } };
    const { CallerReference, Paths } = InvalidationInput.parse(input).InvalidationBatch;
    this.invalidations.push({ reference: CallerReference, items: Paths.Items });
    this.events.push(`cloudfront ${Paths.Items.join(' ')}`);
    return { Invalidation: { Id: `I${this.invalidations.length}`, Status: 'InProgress' } };
  }
}

function s3Error(name: string, status: number): S3ServiceException {
  return new S3ServiceException({ name, $fault: 'client', message: name, $metadata: { httpStatusCode: status } });
}
