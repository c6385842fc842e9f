import { availableParallelism } from 'node:os';
import type { EdgeConfig } from '../../config';
import type { Logger } from '../../control/types';
import { cpuQuota } from './cpu-quota';
import { InlineHost } from './inline-host';
import { QUARANTINE_LIMITS } from './quarantine';
import type { ExecutionHost } from './types';
import { ownWorkerCommand, type WorkerCommand } from './worker-command';
import { WorkerHost } from './worker-host';

/** Longest that a model may take to load in a worker, ms; some gigabytes from a slow disk. */
const LOAD_LIMIT_MS = 60_000;
/** Time that a worker has to come back with an answer that comes too late, ms: less than a new worker and its models cost. */
const GRACE_MS = 1_000;
const IDLE_MS = 10_000;

/**
 * The places where this process's models run. Workers are started when the first model is opened in them.
 * @param command how a worker is started: the one that lies beside the running program
 */
export function createSessionHost(
  config: Pick<EdgeConfig, 'modelWorkers' | 'modelRunTimeoutMs'>,
  log: Logger,
  command: WorkerCommand = ownWorkerCommand(),
): ExecutionHost {
  const workers = new WorkerHost({
    workers: config.modelWorkers ?? defaultWorkers(),
    command,
    limits: { runMs: config.modelRunTimeoutMs, graceMs: GRACE_MS, loadMs: LOAD_LIMIT_MS },
    quarantine: QUARANTINE_LIMITS,
    idleMs: IDLE_MS,
    log,
  });
  const inline = new InlineHost();
  return {
    inline,
    open: (file) => workers.open(file),
    counts: () => workers.counts(),
    async close() {
      await Promise.all([workers.close(), inline.close()]);
    },
  };
}

/** As many as CPUs may be used at once: a worker that runs a model keeps one busy. */
function defaultWorkers(): number {
  return Math.max(1, Math.floor(Math.min(availableParallelism(), cpuQuota() ?? Number.POSITIVE_INFINITY)));
}
