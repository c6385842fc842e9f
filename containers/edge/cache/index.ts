import { randomUUID } from 'node:crypto';
import type { ControlMessage } from '../../../lib/core/control-message';
import { createControlLog, createNullControlLog } from '../control/log-follower';
import type { ControlLog, Logger, ModelReport } from '../control/types';
import { CacheState } from './cache-state';
import { OWN_LOG } from './control-journal';
import { DiskTier } from './disk-tier';
import { createEdgeCache } from './edge-cache';
import { InvalidationIndex } from './invalidation-index';
import { KeyInvalidation } from './key-invalidation';
import { createL1Store } from './l1-store';
import { createMemoryStore } from './memory-store';
import type { RedisAccess } from './redis-connection';
import type { EdgeCache, Position, StoredTier } from './types';

/** What the edge service decides about its cache. */
export interface EdgeCacheConfig {
  readonly memoryMaxBytes: number;
  /** Directory of the disk tier, of this process alone; without it there is no disk tier. */
  readonly diskDir?: string | undefined;
  /** Bytes the disk tier may fill; 1 GiB by default. */
  readonly diskMaxBytes?: number | undefined;
  /** Pause before a disk that refused to be opened is tried again, ms; 5,000 by default. */
  readonly diskRetryMs?: number | undefined;
  /** How long to wait at the start for a disk that does not answer, ms; 5,000 by default. */
  readonly diskStartMs?: number | undefined;
  /** `redis://` or `rediss://` URL of the region's L1 and control log; without it there is neither. */
  readonly redisUrl?: string | undefined;
  readonly redisAccess?: RedisAccess | undefined;
  readonly taskId: string;
  readonly region: string;
  /** Asked at every heartbeat; cheap. */
  readonly report: () => ModelReport;
  /** Called for `prepare` and `activate` messages, in log order. Must not throw; may work on asynchronously. */
  readonly onControlMessage: (message: ControlMessage) => void;
  readonly log: Logger;
}

/** An open cache and the log that keeps it true. */
export interface OpenEdgeCache {
  readonly cache: EdgeCache;
  readonly controlLog: ControlLog;
  /** Whether each tier in use answers, or is left alone until it does again. */
  health(): Partial<Record<StoredTier, boolean>>;
  /** Stops following the log, writes out what is still on its way to a tier and closes every tier. */
  close(): Promise<void>;
}

/** Position of a cache that has not seen any control log; no log has this name. */
const NO_LOG: Position = { epoch: 'none', seq: 0 };
const DEFAULT_DISK_BYTES = 1024 ** 3;

/**
 * Opens every tier that `config` names and follows the region's control log. Does not wait for Redis or for old disk
 * entries: a tier that is not ready, or fails, is a miss. Entries of L1 and of an earlier process's disk are used once
 * the log has been caught up with. Rejects only when the Redis URL is none.
 */
export async function openEdgeCache(config: EdgeCacheConfig): Promise<OpenEdgeCache> {
  const { redisUrl, log } = config;
  const index = new InvalidationIndex(NO_LOG);
  const memory = createMemoryStore(config.memoryMaxBytes);
  const disk = await openDisk(config, index);
  const l1 = redisUrl === undefined ? undefined : createL1Store(redisUrl, log, config.redisAccess);

  const state = new CacheState({
    index,
    journal: disk?.journal,
    dropLocalTiers: () => {
      void memory.clear();
      disk?.clear().catch((error: unknown) => log.warn({ err: error }, 'disk cache could not be cleared'));
    },
    onControlMessage: config.onControlMessage,
  });
  const controlLog =
    redisUrl === undefined
      ? withoutLog(state)
      : createControlLog({ ...config, redisUrl, state, keeper: disk?.journal });
  const mayUseLasting = () => state.hasCaughtUp();
  const append = (...message: Parameters<ControlLog['append']>) => controlLog.append(...message);
  // Without Redis there is nobody to spare messages, and what is stored a moment later need not be hit by a late one.
  const keyInvalidation = new KeyInvalidation(index, append, log, redisUrl === undefined ? { gatherMs: 0 } : {});
  disk?.onUnsent((messages) => keyInvalidation.resume(messages));
  const invalidateKeys = (keys: readonly string[]) => keyInvalidation.invalidate(keys);
  const cache = createEdgeCache({ memory, l1, l2: disk, index, mayUseLasting, invalidateKeys });
  return {
    cache,
    controlLog,
    health: () => ({
      memory: true,
      ...(l1 && { l1: l1.healthy() }),
      ...(disk && { l2: disk.healthy() }),
    }),
    async close() {
      keyInvalidation.flush();
      await controlLog.close();
      await cache.close();
    },
  };
}

/** The disk tier, where there is to be one. */
async function openDisk(config: EdgeCacheConfig, index: InvalidationIndex): Promise<DiskTier | undefined> {
  const { diskDir, diskMaxBytes = DEFAULT_DISK_BYTES, diskRetryMs, diskStartMs, log } = config;
  if (diskDir === undefined) return undefined;
  return DiskTier.open({
    directory: diskDir,
    maxBytes: diskMaxBytes,
    index,
    log,
    retryMs: diskRetryMs,
    startMs: diskStartMs,
  });
}

/**
 * Without Redis the service keeps a log for itself, which goes on where the journal beside the disk ends. Entries made
 * under another, or under one whose journal is gone, cannot be judged, and are dropped.
 */
function withoutLog(state: CacheState): ControlLog {
  if (!state.checkpoint().position.epoch.startsWith(OWN_LOG)) {
    state.restartAt({ epoch: `${OWN_LOG}${randomUUID()}`, seq: 0 });
  }
  state.caughtUp();
  return createNullControlLog(state);
}
