import { InvokeCommand } from '@aws-sdk/client-lambda';
import { statusFunctionName } from '../core/resource-names';
import { RegionStatus, type StatusRequest, type TaskReport } from '../core/task-report';
import type { ControlPlane } from './plane';
import { pollUntil } from './polling';

/**
 * Asks a region's status function for its control log and live tasks.
 * @throws Error when the function fails or answers something else than a `RegionStatus`
 */
export async function readRegionStatus(
  plane: ControlPlane,
  region: string,
  messageIds: readonly string[] = [],
): Promise<RegionStatus> {
  const request: StatusRequest = { messageIds: [...messageIds] };
  const name = statusFunctionName(plane.scope);
  const answer = await plane.clients
    .lambda(region)
    .send(new InvokeCommand({ FunctionName: name, Payload: Buffer.from(JSON.stringify(request)) }));
  const payload = Buffer.from(answer.Payload ?? []).toString('utf8');
  if (answer.FunctionError) throw new Error(`function ${name} in ${region} failed: ${payload}`);
  return RegionStatus.parse(JSON.parse(payload));
}

/** Receipt of one region: every live task has applied the message. */
export interface RegionReceipt {
  readonly region: string;
  /** Place of the message in the region's control log. */
  readonly epoch: string;
  readonly position: number;
  /** Live tasks that have applied it. */
  readonly tasks: number;
  /** From sending to the answer that showed the last task done, ms; includes up to one pause between two questions. */
  readonly propagationMs: number;
}

/** What is waited for, beyond the message being applied. */
export interface TaskCondition {
  /** Clock time at which the message was sent. */
  readonly sentAt: number;
  readonly timeoutMs: number;
  /** Whether the region is done only when it has a live task. */
  readonly requireTask: boolean;
  /** Whether a task that applied the message has come to what is wanted. A ControlError ends the wait in every region. */
  readonly isDone: (task: TaskReport) => boolean;
  /** A task's state in a few words, for the error at the end of patience. */
  readonly describe: (task: TaskReport) => string;
}

/**
 * Waits until a region's log holds the message and every live task has applied it and fulfils the condition. When the
 * log is lost after it held the message, tasks of the new log have either followed it or dropped what it named.
 * @throws ControlError at the end of patience, naming the tasks that are not done
 */
export async function awaitTasks(
  plane: ControlPlane,
  region: string,
  messageId: string,
  condition: TaskCondition,
  signal: AbortSignal,
): Promise<RegionReceipt> {
  let entry: { readonly epoch: string; readonly position: number } | undefined;
  let lagging = `${region}: the control log does not hold message ${messageId}`;

  const probe = async (): Promise<RegionReceipt | undefined> => {
    const { epoch, tasks, positions } = await readRegionStatus(plane, region, [messageId]);
    const position = positions[messageId];
    if (position !== undefined) entry = { epoch, position };
    if (entry === undefined) return undefined;
    const { epoch: entryEpoch, position: entryPosition } = entry;

    const hasApplied = (task: TaskReport) =>
      task.epoch === epoch && (epoch !== entryEpoch || task.position >= entryPosition);
    const waiting = tasks.filter((task) => !(hasApplied(task) && condition.isDone(task)));
    if (waiting.length > 0) {
      lagging = `${region}: ${waiting.map((task) => `task ${task.taskId} ${condition.describe(task)}`).join(', ')}`;
      return undefined;
    }
    if (tasks.length === 0 && condition.requireTask) {
      lagging = `${region}: no live task`;
      return undefined;
    }
    const propagationMs = Math.round(plane.clock.now() - condition.sentAt);
    return { region, epoch: entryEpoch, position: entryPosition, tasks: tasks.length, propagationMs };
  };
  return pollUntil(probe, {
    clock: plane.clock,
    timeoutMs: condition.timeoutMs,
    signal,
    describe: () => `${lagging}, still`,
  });
}
