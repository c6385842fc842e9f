import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { ServiceError } from '../aws-front/service-error';
import type { S3Origin } from '../engine/network';
import type { AwsApi, CallContext } from '../engine/types';
import { errorAnswer, sendAnswer } from './answer';
import { Bucket, bucketArn, type Versioning } from './bucket';
import { BucketPolicy } from './bucket-policy';
import { BucketRegistry } from './bucket-registry';
import { type Clock, systemClock } from './clock';
import { accessDenied, noSuchBucket, S3Error, toS3Error } from './errors';
import { MultipartUploads } from './multipart-uploads';
import type { S3Context } from './operations/context';
import { readObject } from './operations/read';
import { Replication, type ReplicationRefusal } from './replication';
import type { ReplicationRule } from './replication-rules';
import { type Answer, decodeKey, parseS3Request, type S3Request, splitTarget } from './request';
import { route } from './router';

export interface S3StandInOptions {
  /** Folder that holds the buckets; made where needed. */
  readonly rootDir: string;
  /** Account that owns every bucket. */
  readonly account: string;
  /** Milliseconds between a write and its replicas; 200 unless told. */
  readonly replicationDelayMs?: number;
  readonly clock?: Clock;
  /** Told why a replication failed; the console unless told. */
  readonly log?: (message: string) => void;
}

/** How a bucket is made. */
export interface BucketSpec {
  readonly name: string;
  readonly region: string;
  readonly versioning: Versioning;
  readonly replicationRules: readonly ReplicationRule[];
  /** What keeps S3 from replicating as the bucket's role; by default nothing does. */
  readonly replicationRefusal?: ReplicationRefusal;
}

const DEFAULT_REPLICATION_DELAY_MS = 200;

/** Amazon S3 over a folder: the API that the AWS SDK calls, and the origin that CloudFront reads. */
export class S3StandIn implements S3Origin {
  /** The API for the shared AWS endpoint. */
  readonly api: AwsApi = {
    signingName: 's3',
    handle: (request, response, context) => this.handle(request, response, context),
  };
  private readonly clock: Clock;
  private readonly buckets = new BucketRegistry();
  private readonly policies = new Map<string, BucketPolicy>();
  private readonly replication: Replication;
  private readonly context: S3Context;

  constructor(private readonly options: S3StandInOptions) {
    this.clock = options.clock ?? systemClock;
    this.replication = new Replication({
      buckets: this.buckets,
      clock: this.clock,
      delayMs: options.replicationDelayMs ?? DEFAULT_REPLICATION_DELAY_MS,
      log: options.log ?? console.warn,
    });
    this.context = {
      account: options.account,
      buckets: this.buckets,
      uploads: new MultipartUploads(join(options.rootDir, 'uploads')),
      clock: this.clock,
    };
  }

  /**
   * Makes a bucket, or opens it again with what its folder holds; replications that were pending go on.
   * @throws S3Error BucketAlreadyOwnedByYou; InvalidRequest when a replication destination is not there or not versioned
   */
  async createBucket({ name, region, versioning, replicationRules, replicationRefusal }: BucketSpec): Promise<void> {
    if (this.buckets.find(name) !== undefined) {
      throw new S3Error('BucketAlreadyOwnedByYou', 409, `There is already a bucket ${name}.`, { BucketName: name });
    }
    const bucket: Bucket = await Bucket.open({
      name,
      region,
      versioning,
      directory: join(this.options.rootDir, 'buckets', name),
      clock: this.clock,
      initialReplicationStatus: (record) => (this.replication.applies(name, record) ? 'PENDING' : undefined),
      onWritten: (record) => this.replication.enqueue(bucket, record),
    });
    if (replicationRules.length > 0) this.replication.configure(bucket, replicationRules, replicationRefusal);
    this.buckets.add(bucket);
    const pending = bucket
      .keys()
      .flatMap((key) => bucket.versionsOf(key))
      .filter((record) => record.replicationStatus === 'PENDING')
      .sort((a, b) => a.sequence - b.sequence);
    for (const record of pending) this.replication.enqueue(bucket, record);
  }

  /** Takes a bucket out of service; its folder stays. */
  async closeBucket(name: string): Promise<void> {
    this.replication.forget(name);
    this.policies.delete(name);
    this.buckets.remove(name);
  }

  /** @throws Error naming what the policy says that cannot be evaluated; S3Error NoSuchBucket */
  putBucketPolicy(bucketName: string, document: unknown): void {
    if (this.buckets.find(bucketName) === undefined) throw noSuchBucket(bucketName);
    this.policies.set(bucketName, BucketPolicy.parse(document));
  }

  regionOf(bucketName: string): string | undefined {
    return this.buckets.find(bucketName)?.region;
  }

  async fetch(request: Parameters<S3Origin['fetch']>[0]): ReturnType<S3Origin['fetch']> {
    const answer = await this.answer(request.method, request.path, () => this.readForCloudFront(request));
    const body = request.method === 'HEAD' ? undefined : answer.body;
    return {
      status: answer.status,
      headers: {
        ...(typeof body === 'string' ? { 'content-length': String(Buffer.byteLength(body)) } : {}),
        ...answer.headers,
      },
      body: body instanceof Readable ? body : Readable.from(body === undefined ? [] : [Buffer.from(body)]),
    };
  }

  /** Resolves once no replication is pending. */
  replicationIdle(): Promise<void> {
    return this.replication.idle();
  }

  /** Ends replication; requests under way end by themselves. */
  async close(): Promise<void> {
    await this.replication.stop();
  }

  private async handle(message: IncomingMessage, response: ServerResponse, caller: CallContext): Promise<void> {
    const answer = await this.answer(message.method ?? 'GET', message.url ?? '/', () => {
      const request = parseS3Request(message, caller.region);
      return this.perform(request, caller);
    });
    // A body that nobody read would keep the client from reading the answer.
    message.resume();
    await sendAnswer(response, answer);
  }

  private async perform(request: S3Request, caller: CallContext): Promise<Answer> {
    const { handler, access } = route(request);
    const bucket = request.bucket ?? '';
    const more = { resourcePolicy: this.policies.get(bucket)?.statements };
    for (const { action, resource } of access) authorize(caller, action, resource, more);
    try {
      return await handler(request, this.context);
    } catch (error) {
      // S3 does not tell who may not list whether a key exists.
      if (error instanceof S3Error && error.code === 'NoSuchKey') {
        authorize(caller, 's3:ListBucket', bucketArn(bucket), more);
      }
      throw error;
    }
  }

  private async readForCloudFront(request: Parameters<S3Origin['fetch']>[0]): Promise<Answer> {
    const bucket = this.buckets.find(request.bucket);
    if (bucket === undefined) throw noSuchBucket(request.bucket);
    const { path, query } = splitTarget(request.path);
    const key = decodeKey(path.slice(1));
    const versionId = query.get('versionId') ?? undefined;
    const may = (action: string, resource: string): boolean =>
      this.policies
        .get(bucket.name)
        ?.allowsCloudFront({ action, resource, distributionArn: request.distributionArn }) ?? false;
    if (!may(versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion', `${bucket.arn}/${key}`)) {
      throw accessDenied();
    }
    // S3 does not tell who may not list whether a key exists.
    if (bucket.current(key) === undefined && !may('s3:ListBucket', bucketArn(bucket.name))) throw accessDenied();
    return readObject(bucket, { method: request.method, key, versionId, headers: request.headers, overrides: {} });
  }

  private async answer(method: string, resource: string, run: () => Promise<Answer> | Answer): Promise<Answer> {
    try {
      return await run();
    } catch (thrown) {
      const error = toS3Error(thrown);
      if (error.code === 'InternalError') this.options.log?.(`S3 ${method} ${resource} failed: ${error.message}`);
      return errorAnswer(error, method, resource);
    }
  }
}

function authorize(caller: CallContext, ...question: Parameters<CallContext['authorize']>): void {
  try {
    caller.authorize(...question);
  } catch (error) {
    throw error instanceof ServiceError ? new S3Error(error.code, error.status, error.message) : error;
  }
}
