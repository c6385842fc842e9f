import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  GetObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import type { Clock } from '../../../local/s3/clock';
import { type BucketSpec, S3StandIn } from '../../../local/s3/s3-stand-in';

/** Refusals are expected here; the SDK would warn of those of streamed bodies on the console. */
const ignore = (): void => undefined;
const silent = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };

export const ACCOUNT = '000000000000';

/** A clock that a test sets; scheduled tasks run when their time has come. */
class FakeClock implements Clock {
  private time = Date.parse('2026-01-01T00:00:00.000Z');
  private tasks: { readonly due: number; readonly run: () => void }[] = [];

  now(): Date {
    return new Date(this.time);
  }

  schedule(delayMs: number, run: () => void): () => void {
    const task = { due: this.time + delayMs, run };
    this.tasks.push(task);
    return () => {
      this.tasks = this.tasks.filter((other) => other !== task);
    };
  }

  advance(ms: number): void {
    this.time += ms;
    const due = this.tasks.filter((task) => task.due <= this.time);
    this.tasks = this.tasks.filter((task) => task.due > this.time);
    for (const task of due) task.run();
  }
}

export interface RunningS3 {
  readonly s3: S3StandIn;
  readonly clock: FakeClock;
  readonly port: number;
  readonly rootDir: string;
  readonly log: string[];
  client(region?: string, config?: S3ClientConfig): S3Client;
  /** Drops everything in memory and opens the same folder again. */
  restart(buckets: readonly BucketSpec[]): Promise<S3StandIn>;
  stop(): Promise<void>;
}

/** Serves a fresh S3 on 127.0.0.1; the region is taken from the credential scope, as the shared endpoint does. */
export async function startS3(buckets: readonly BucketSpec[]): Promise<RunningS3> {
  const rootDir = await mkdtemp(join(tmpdir(), 'mlcdn-s3-'));
  const clock = new FakeClock();
  const log: string[] = [];
  const clients: S3Client[] = [];
  const open = (): S3StandIn =>
    new S3StandIn({ rootDir, account: ACCOUNT, clock, replicationDelayMs: 100, log: (line) => log.push(line) });
  let s3 = open();
  for (const bucket of buckets) await s3.createBucket(bucket);
  const server = createServer((request, response) => {
    const region = /Credential=[^/]+\/\d+\/([^/]+)\/s3\//.exec(request.headers.authorization ?? '')?.[1] ?? 'us-east-1';
    void s3.api.handle(request, response, {
      region,
      account: ACCOUNT,
      accessKeyId: 'local',
      authorize: () => undefined,
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    s3,
    clock,
    port,
    rootDir,
    log,
    client(region = 'us-east-1', config = {}) {
      const client = new S3Client({
        endpoint: `http://127.0.0.1:${port}`,
        region,
        credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
        maxAttempts: 1,
        logger: silent,
        ...config,
      });
      clients.push(client);
      return client;
    },
    async restart(specs) {
      await s3.close();
      s3 = open();
      for (const bucket of specs) await s3.createBucket(bucket);
      return s3;
    },
    async stop() {
      for (const client of clients) client.destroy();
      await s3.close();
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
      await rm(rootDir, { recursive: true, force: true });
    },
  };
}

/** A bucket of `region` without replication. */
export function bucketSpec(name: string, options: Partial<BucketSpec> = {}): BucketSpec {
  return { name, region: 'us-east-1', versioning: 'Enabled', replicationRules: [], ...options };
}

/** What an SDK call was refused with. */
export async function failure(
  call: Promise<unknown>,
): Promise<{ name: string; status: number | undefined; message: string }> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const metadata = '$metadata' in error ? (error.$metadata as { httpStatusCode?: number }) : {};
    return { name: error.name, status: metadata.httpStatusCode, message: error.message };
  }
  throw new Error('The call succeeded; it should have been refused.');
}

/** A versioned bucket, one without versions and one of another region. */
export const THREE_BUCKETS: readonly BucketSpec[] = [
  bucketSpec('models'),
  bucketSpec('plain', { versioning: 'Disabled' }),
  bucketSpec('paris', { region: 'eu-west-3' }),
];

type Body = NonNullable<PutObjectCommandInput['Body']>;

/** Puts and gets of objects of one bucket, by a client that may be made later. */
export function objectsOf(Bucket: string, client: () => S3Client) {
  return {
    put: (Key: string, body: Body, more: Partial<Omit<PutObjectCommandInput, 'Body'>> = {}) =>
      client().send(new PutObjectCommand({ Bucket, Key, Body: body, ...more })),
    text: async (Key: string, more: object = {}) => {
      const answer = await client().send(new GetObjectCommand({ Bucket, Key, ...more }));
      return answer.Body?.transformToString();
    },
  };
}
