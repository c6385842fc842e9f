import { randomUUID } from 'node:crypto';
import { channelKey } from '../core/channel';
import type { ControlMessage } from '../core/control-message';
import type { TaskModelVersion, TaskReport } from '../core/task-report';
import { moveChannel } from './channel';
import { broadcast } from './control-messages';
import { ControlError } from './errors';
import { syncLiveVersion } from './live-version';
import { awaitReplication } from './objects';
import { type ControlPlane, inEveryRegion, type OnProgress } from './plane';
import { awaitTasks, type RegionReceipt, readRegionStatus, type TaskCondition } from './region-tasks';

/** How long each step of a rollout may take, ms. */
export interface RolloutTimeouts {
  readonly replicationMs: number;
  readonly prepareMs: number;
  readonly activateMs: number;
}

export const DEFAULT_ROLLOUT_TIMEOUTS: RolloutTimeouts = {
  replicationMs: 900_000,
  prepareMs: 600_000,
  activateMs: 60_000,
};

/** What a rollout did. A step that had nothing to change is absent or false, so a rollout can be run again at any time. */
export interface RolloutResult {
  readonly model: string;
  readonly version: string;
  /** Version that the channel pointed to before, kept for an instant rollback. */
  readonly previous?: string;
  /** Revision of the channel document. */
  readonly revision: number;
  readonly prepared: readonly RegionReceipt[];
  readonly channelMoved: boolean;
  readonly activated: readonly RegionReceipt[];
  readonly edgeKeyMoved: boolean;
}

/**
 * Makes a published version live: every live task of every region prepares it, then the channel moves, then every task
 * activates it, and CloudFront's cache keys follow last. Before every task is ready nothing is activated anywhere.
 * @throws ControlError naming region, task and reason
 */
export async function rollOut(
  plane: ControlPlane,
  model: string,
  version: string,
  timeouts: RolloutTimeouts,
  onProgress: OnProgress,
): Promise<RolloutResult> {
  const prepared = await step(plane, onProgress, `preparing ${model} ${version}`, {
    message: { kind: 'prepare', id: randomUUID(), model, version },
    timeoutMs: timeouts.prepareMs,
    isDone: (task) => isReady(task, model, version),
    describe: (task) => describeVersion(task, model, version),
  });

  const { document, moved } = await moveChannel(plane, model, version);
  if (moved) onProgress(`channel of ${model} moved to ${version} (revision ${document.revision})`);
  await awaitReplication(plane, channelKey(model), timeouts.replicationMs);

  const activated = await step(plane, onProgress, `activating ${model} ${version}`, {
    message: { kind: 'activate', id: randomUUID(), model, revision: document.revision },
    timeoutMs: timeouts.activateMs,
    isDone: (task) => isActive(task, model, version, document.revision),
    describe: (task) => describeVersion(task, model, version),
  });

  const edgeKeyMoved = await syncLiveVersion(plane, model);
  if (edgeKeyMoved) onProgress(`CloudFront's cache keys of ${model} name ${version}`);
  return {
    model,
    version,
    ...(document.previous ? { previous: document.previous } : {}),
    revision: document.revision,
    prepared,
    channelMoved: moved,
    activated,
    edgeKeyMoved,
  };
}

interface Step extends Pick<TaskCondition, 'timeoutMs' | 'isDone' | 'describe'> {
  readonly message: ControlMessage;
}

/** Sends a message and waits for every task, unless every task is already there. */
async function step(plane: ControlPlane, onProgress: OnProgress, what: string, wanted: Step): Promise<RegionReceipt[]> {
  if (await isDoneEverywhere(plane, wanted.isDone)) return [];
  onProgress(`${what} in ${plane.regions.length} region(s)`);
  const sentAt = plane.clock.now();
  await broadcast(plane, wanted.message);
  return inEveryRegion(plane, async (region, signal) => {
    const { timeoutMs, isDone, describe } = wanted;
    const condition = { sentAt, timeoutMs, requireTask: true, isDone: naming(region, isDone), describe };
    const receipt = await awaitTasks(plane, region, wanted.message.id, condition, signal);
    onProgress(`  ${region}: ${receipt.tasks} task(s) after ${receipt.propagationMs} ms`);
    return receipt;
  });
}

async function isDoneEverywhere(plane: ControlPlane, isDone: Step['isDone']): Promise<boolean> {
  const regions = await Promise.all(
    plane.regions.map(async (region) => {
      try {
        const { tasks } = await readRegionStatus(plane, region);
        return tasks.length > 0 && tasks.every(isDone);
      } catch {
        // Not known to be done: the step itself asks again and reports what stays wrong.
        return false;
      }
    }),
  );
  return regions.every(Boolean);
}

/** Puts the region in front of what a task was refused for. */
function naming(region: string, isDone: Step['isDone']): Step['isDone'] {
  return (task) => {
    try {
      return isDone(task);
    } catch (error) {
      throw error instanceof ControlError ? new ControlError(`${region}: ${error.message}`) : error;
    }
  };
}

function versionOf(task: TaskReport, model: string, version: string): TaskModelVersion | undefined {
  return task.models[model]?.find((held) => held.version === version);
}

function isReady(task: TaskReport, model: string, version: string): boolean {
  const held = versionOf(task, model, version);
  if (held?.state === 'refused') {
    throw new ControlError(
      `task ${task.taskId} refused ${model} ${version}: ${held.reason ?? 'no reason given'}; nothing was activated`,
    );
  }
  return held?.state === 'ready' || held?.state === 'active';
}

/** A channel that moved on meanwhile counts as done: whoever moved it waits for the newer version. */
function isActive(task: TaskReport, model: string, version: string, revision: number): boolean {
  const followed = task.channels[model] ?? 0;
  return followed > revision || (followed === revision && versionOf(task, model, version)?.state === 'active');
}

function describeVersion(task: TaskReport, model: string, version: string): string {
  const held = versionOf(task, model, version);
  const state = held === undefined ? `has no ${model} ${version}` : `has ${model} ${version} ${held.state}`;
  return held?.reason ? `${state} (${held.reason})` : state;
}
