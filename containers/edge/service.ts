import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { type OpenEdgeCache, openEdgeCache } from './cache';
import type { BodyStore } from './cache/body-store';
import { openRetriedBodyStore } from './cache/retried-body-store';
import type { CacheStats, StoreUsage } from './cache/types';
import type { EdgeConfig } from './config';
import { ChannelFollower } from './control/channel-follower';
import { ControlHandler } from './control/control-handler';
import { messageOf } from './errors';
import { createApp } from './http/app';
import { HttpCache } from './http-cache/http-cache';
import { OriginClient } from './http-cache/origin-client';
import { BucketSource } from './inference/bucket-source';
import { FolderSource } from './inference/folder-source';
import { ModelRepository } from './inference/model-repository';
import { Predictor } from './inference/predictor';
import { createMetrics, type Metrics } from './metrics';

/** Share of the disk tier's bytes that large bodies may fill; the rest is the log of entries. */
const BODY_SHARE = 0.5;

/** An edge task's service. */
export interface EdgeService {
  readonly app: FastifyInstance;
  readonly metrics: Metrics;
  /** Makes `/health` answer 503, so that load balancers send no more. */
  drain(): void;
  /** Answers what has arrived, then lets go of everything. */
  close(): Promise<void>;
}

/** Where live versions come from, as the service uses it. */
interface ModelSupply {
  readonly repository: ModelRepository;
  readonly handler: ControlHandler;
  revisions(): Record<string, number>;
  pendingReason(): string | undefined;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Assembles the service: models, cache, control log, HTTP. Rejects when the model folder cannot be served. */
export async function createEdgeService(config: EdgeConfig, log: FastifyBaseLogger): Promise<EdgeService> {
  // The cache reports on the models and the models tell the cache's log of changes: one of the two has to come first.
  let open: OpenEdgeCache | undefined;
  const supply = createModelSupply(config, log, () => open?.controlLog.reportSoon());
  open = await openEdgeCache({
    memoryMaxBytes: config.memoryCacheMaxBytes,
    diskDir: config.diskCacheDir,
    diskMaxBytes: config.diskCacheMaxBytes * (1 - BODY_SHARE),
    redisUrl: config.redisUrl,
    redisAccess: config.redisAccess,
    taskId: config.taskId,
    region: config.region,
    report: () => ({ channels: supply.revisions(), models: supply.repository.report() }),
    onControlMessage: (message) => supply.handler.handle(message),
    log,
  });
  const { cache } = open;
  const bodies = await openBodies(config, log);
  const httpCache =
    config.originUrl === undefined
      ? undefined
      : new HttpCache({
          cache,
          bodies,
          origin: new OriginClient(new URL(config.originUrl)),
          policies: config.routePolicies,
        });
  if (config.redisUrl === undefined) log.info('REDIS_URL is not set: no L1, and invalidations do not reach this task');

  const metrics = createMetrics(config.region, {
    stats: () => withBodies(cache.stats(), bodies?.usage()),
    tierHealth: () => {
      const health = open?.health() ?? {};
      return bodies?.healthy() === false ? { ...health, l2: false } : health;
    },
    invalidationLag: () => open?.controlLog.lag()?.messages,
    invalidationLagSeconds: () => open?.controlLog.lag()?.seconds,
  });
  let draining = false;
  const app = createApp(
    {
      region: config.region,
      defaultModel: config.defaultModel,
      httpCache,
      repository: supply.repository,
      predictor: new Predictor(cache),
      metrics,
      unavailableReason: () => (draining ? 'the service is stopping' : supply.pendingReason()),
    },
    log,
  );
  const closeOpen = open.close.bind(open);
  await supply.start();
  return {
    app,
    metrics,
    drain: () => {
      draining = true;
    },
    async close() {
      await app.close();
      await supply.stop();
      await httpCache?.close();
      await closeOpen();
      await bodies?.close();
    },
  };
}

/** The store of large bodies, below the disk tier's directory; none where there is no disk tier. */
async function openBodies(config: EdgeConfig, log: FastifyBaseLogger): Promise<BodyStore | undefined> {
  if (config.diskCacheDir === undefined) return undefined;
  return openRetriedBodyStore(join(config.diskCacheDir, 'bodies'), config.diskCacheMaxBytes * BODY_SHARE, log);
}

/** Counts large bodies as part of the disk tier, which they are to an operator. */
function withBodies(stats: CacheStats, bodies: StoreUsage | undefined): CacheStats {
  if (bodies === undefined) return stats;
  return {
    ...stats,
    bytes: { ...stats.bytes, l2: stats.bytes.l2 + bodies.bytes },
    evictions: { ...stats.evictions, l2: stats.evictions.l2 + bodies.evictions },
    corrupt: stats.corrupt + bodies.corrupt,
  };
}

function createModelSupply(config: EdgeConfig, log: FastifyBaseLogger, onChange: () => void): ModelSupply {
  return config.models.kind === 'folder'
    ? folderSupply(config.models.folder, log, onChange)
    : bucketSupply(config.models.bucket, config, log, onChange);
}

/** A folder has no channels: every version is loaded, the highest that can be is live, and nothing changes later. */
function folderSupply(folder: string, log: FastifyBaseLogger, onChange: () => void): ModelSupply {
  const source = new FolderSource(folder);
  const repository = new ModelRepository({ source, log, onChange, retryDelaysMs: [] });
  const handler = new ControlHandler({ repository, channels: { expect: () => undefined }, log });
  return {
    repository,
    handler,
    revisions: () => ({}),
    pendingReason: () => undefined,
    async start() {
      for (const { model, versions } of await listFolder(source, folder)) {
        const prepared = await Promise.allSettled(versions.map((version) => repository.prepare(model, version)));
        const highest = versions.filter((_, i) => prepared[i]?.status === 'fulfilled').at(-1);
        if (highest !== undefined) repository.activate(model, highest, versions);
      }
    },
    stop: async () => repository.close(),
  };
}

async function listFolder(source: FolderSource, folder: string): Promise<{ model: string; versions: string[] }[]> {
  try {
    return await source.list();
  } catch (error) {
    throw new Error(`MODELS_DIR=${JSON.stringify(folder)} must be a readable folder: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function bucketSupply(bucket: string, config: EdgeConfig, log: FastifyBaseLogger, onChange: () => void): ModelSupply {
  const client = new S3Client({ region: config.region });
  const downloadDir = join(config.diskCacheDir ?? tmpdir(), 'model-downloads');
  const source = new BucketSource({ client, bucket, downloadDir });
  const repository = new ModelRepository({ source, log, onChange });
  const channels = new ChannelFollower({ source, repository, pollMs: config.channelPollMs, log });
  const handler = new ControlHandler({ repository, channels, log });
  return {
    repository,
    handler,
    revisions: () => channels.revisions(),
    pendingReason: () => channels.pendingReason(),
    start: async () => channels.start(),
    async stop() {
      repository.close();
      await channels.stop();
      client.destroy();
    },
  };
}
