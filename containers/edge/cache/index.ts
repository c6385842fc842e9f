import type { ControlMessage } from '../../../lib/core/control-message';
import type { ControlLog, Logger, ModelReport } from '../control/types';
import type { EdgeCache } from './types';

/** What the edge service decides about its cache. */
export interface EdgeCacheConfig {
  readonly memoryMaxBytes: number;
  /** Directory of the disk tier, of this process alone; without it there is no disk tier. */
  readonly diskDir?: string | undefined;
  /** Bytes the disk tier may fill; 1 GiB by default. */
  readonly diskMaxBytes?: number | undefined;
  /** `redis://` or `rediss://` URL of the region's L1 and control log; without it there is neither. */
  readonly redisUrl?: string | undefined;
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
  /** Stops following the log, writes out what is still on its way to a tier and closes every tier. */
  close(): Promise<void>;
}

/**
 * Opens every tier that `config` names and follows the region's control log. Resolves at once: tiers that are not
 * ready yet, or fail, are misses until they are.
 */
export declare function openEdgeCache(config: EdgeCacheConfig): Promise<OpenEdgeCache>;
