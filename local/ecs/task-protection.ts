import type { Service } from './service';
import type { Task } from './task';

const MINUTE_MS = 60_000;

/** Bounds and default of a protection's length, min. Source: ECS API reference, `UpdateTaskProtection`. */
export const PROTECTION_MINUTES = { min: 1, max: 2_880, default: 120 };

/** What has been asked for a task. */
export interface ProtectionRequest {
  readonly enabled: boolean;
  /** The default where absent. */
  readonly minutes?: number | undefined;
}

/** How a task stands, or why it could not be changed, in the words of ECS's API. */
export type ProtectionAnswer =
  | { readonly protection: { readonly enabled: boolean; readonly until: Date | undefined } }
  | { readonly failure: { readonly reason: string; readonly detail: string } };

/** Whether a task may be taken away by scaling in and deployments, which it forbids for a time. */
export class ScaleInProtection {
  private ends = 0;
  private timer: NodeJS.Timeout | undefined;

  /** @param onEnd called when it ends, by expiry or because it was taken away */
  constructor(private readonly onEnd: () => void) {}

  get isOn(): boolean {
    return Date.now() < this.ends;
  }

  /** When it ends; `undefined` while there is none. */
  get until(): Date | undefined {
    return this.isOn ? new Date(this.ends) : undefined;
  }

  set({ enabled, minutes = PROTECTION_MINUTES.default }: ProtectionRequest): void {
    clearTimeout(this.timer);
    this.ends = enabled ? Date.now() + minutes * MINUTE_MS : 0;
    if (enabled) this.timer = setTimeout(this.onEnd, minutes * MINUTE_MS).unref();
    else this.onEnd();
  }

  /** Forgets it, with the task. */
  drop(): void {
    clearTimeout(this.timer);
    this.ends = 0;
  }
}

/**
 * Changes a task's protection, as ECS does: not of a task that is on its way out, and not where more tasks would be
 * protected than the service wants ("Task scale-in protection considerations" of the Amazon ECS developer guide).
 */
export function changeProtection(service: Service, task: Task, request: ProtectionRequest): ProtectionAnswer {
  if (task.status !== 'RUNNING') {
    return { failure: { reason: 'TASK_NOT_VALID', detail: `the task is ${task.status}` } };
  }
  const others = [...service.tasks].filter((other) => other !== task && other.protection.isOn).length;
  if (request.enabled && others >= service.desiredCount) {
    const detail = `${others} other tasks are protected, of ${service.desiredCount} that the service wants`;
    return { failure: { reason: 'DEPLOYMENT_BLOCKED', detail } };
  }
  task.protection.set(request);
  return protectionOf(task);
}

/** How a task stands. */
export function protectionOf({ protection: { isOn, until } }: Task): ProtectionAnswer {
  return { protection: { enabled: isOn, until } };
}
