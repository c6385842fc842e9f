import { join } from 'node:path';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import pino from 'pino';
import { type OpenEdgeCache, openEdgeCache } from './cache';
import type { BodyStore } from './cache/body-store';
import { openRetriedBodyStore } from './cache/retried-body-store';
import type { CacheStats, StoreUsage } from './cache/types';
import { startCloudWatchReports } from './cloudwatch-reports';
import type { EdgeConfig } from './config';
import { HitRateMeter } from './hit-rate-meter';
import { createApp } from './http/app';
import { HttpCache } from './http-cache/http-cache';
import { OriginClient } from './http-cache/origin-client';
import { Transfers } from './http-cache/transfers';
import { Scheduler } from './inference/execution/scheduler';
import { createSessionHost } from './inference/execution/session-host';
import type { ExecutionHost } from './inference/execution/types';
import { Predictor } from './inference/predictor';
import { createMetrics, type Metrics } from './metrics';
import { exportModelMetrics } from './model-metrics';
import { createModelSupply } from './model-supply';
import { exportTaskProtection, TaskProtection } from './task-protection';
import { exportWorkerMetrics } from './worker-metrics';

/** Share of the disk tier's bytes that large bodies may fill; the rest is the log of entries. */
const BODY_SHARE = 0.5;

const LOAD_SAMPLE_MS = 1_000;

/** An edge task's service. */
export interface EdgeService {
  readonly app: FastifyInstance;
  readonly metrics: Metrics;
  /** Makes `/health` answer 503, so that load balancers send no more. */
  drain(): void;
  /** Answers what has arrived, then lets go of everything. */
  close(): Promise<void>;
}

/**
 * Assembles the service: models, cache, control log, HTTP. Rejects when the model folder cannot be served.
 * @param host where models run
 */
export async function createEdgeService(
  config: EdgeConfig,
  log: FastifyBaseLogger,
  host: ExecutionHost = createSessionHost(config, log),
): Promise<EdgeService> {
  // The cache reports on the models and the models tell the cache's log of changes: one of the two has to come first.
  let open: OpenEdgeCache | undefined;
  const scheduler = new Scheduler();
  const hitRate = new HitRateMeter();
  let draining = false;
  const unavailableReason = () => (draining ? 'the service is stopping' : supply.pendingReason());
  const traffic = () => ({
    serving: unavailableReason() === undefined,
    load: scheduler.load,
    hitRate: hitRate.rate,
  });
  const supply = createModelSupply(config, host, log, () => open?.controlLog.reportSoon());
  open = await openEdgeCache({
    memoryMaxBytes: config.memoryCacheMaxBytes,
    diskDir: config.diskCacheDir,
    diskMaxBytes: config.diskCacheMaxBytes * (1 - BODY_SHARE),
    redisUrl: config.redisUrl,
    redisAccess: config.redisAccess,
    taskId: config.taskId,
    region: config.region,
    report: () => ({ channels: supply.revisions(), models: supply.repository.report(), traffic: traffic() }),
    onControlMessage: (message) => supply.handler.handle(message),
    log,
  });
  const { cache } = open;
  const bodies = await openBodies(config, log);
  const transfers = new Transfers();
  const httpCache =
    config.originUrl === undefined
      ? undefined
      : new HttpCache({
          cache,
          bodies,
          origin: new OriginClient(new URL(config.originUrl)),
          policies: config.routePolicies,
          transfers,
        });
  if (config.redisUrl === undefined) log.info('REDIS_URL is not set: no L1, and invalidations do not reach this task');

  const loadSampling = setInterval(() => {
    scheduler.sampleLoad();
    hitRate.sample(cache.stats());
  }, LOAD_SAMPLE_MS).unref();
  const metrics = createMetrics(config.region, {
    stats: () => withBodies(cache.stats(), bodies?.usage()),
    tierHealth: () => {
      const health = open?.health() ?? {};
      return bodies?.healthy() === false ? { ...health, l2: false } : health;
    },
    invalidationLag: () => open?.controlLog.lag()?.messages,
    invalidationLagSeconds: () => open?.controlLog.lag()?.seconds,
    load: () => scheduler.load,
  });
  exportModelMetrics(metrics.registry, supply.repository);
  exportWorkerMetrics(metrics.registry, () => host.counts());
  const protecting = protect(config, transfers, metrics, log);
  const app = createApp(
    {
      region: config.region,
      serverName: config.serverName,
      defaultModel: config.defaultModel,
      httpCache,
      repository: supply.repository,
      control: supply.control,
      modelControl: config.modelControl,
      predictor: new Predictor(cache, scheduler),
      load: () => scheduler.load,
      metrics,
      unavailableReason,
    },
    log,
  );
  // As pino writes its own lines: whole, at once, and not failing when nobody reads them.
  const standardOutput = pino.destination({ dest: 1, sync: true });
  const reports =
    config.cloudWatchEnvironment === undefined
      ? undefined
      : startCloudWatchReports(
          {
            environment: config.cloudWatchEnvironment,
            region: config.region,
            deployment: config.cloudWatchDeployment,
            registry: metrics.registry,
            latencies: metrics.latencies,
            write: (line) => void standardOutput.write(line),
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
      // ECS has decided by now.
      protecting?.stop();
    },
    async close() {
      clearInterval(loadSampling);
      protecting?.stop();
      await app.close();
      await reports?.stop();
      await supply.stop();
      await host.close();
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

/** Protects the task from scale-in while long transfers are under way; nothing outside ECS. */
function protect(
  { ecsAgentUri, protectTransfersAfterMs }: EdgeConfig,
  transfers: Transfers,
  metrics: Metrics,
  log: FastifyBaseLogger,
): { stop(): void } | undefined {
  if (ecsAgentUri === undefined) return undefined;
  const protection = new TaskProtection({ agentUri: ecsAgentUri, transfers, afterMs: protectTransfersAfterMs, log });
  exportTaskProtection(metrics.registry, protection);
  return protection.start();
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
