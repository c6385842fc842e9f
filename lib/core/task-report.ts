import { z } from 'zod';

/** One version as a task holds it. `refused` versions never serve; `reason` says why. */
export const TaskModelVersion = z.strictObject({
  version: z.string(),
  state: z.enum(['preparing', 'ready', 'active', 'refused']),
  reason: z.string().optional(),
});
export type TaskModelVersion = z.infer<typeof TaskModelVersion>;

/** What an edge task says of itself, once a second and after every applied control message. */
export const TaskReport = z.strictObject({
  taskId: z.string(),
  region: z.string(),
  startedAt: z.iso.datetime(),
  /** Epoch and position of the control log up to which this task has applied every message. */
  epoch: z.string(),
  position: z.int().min(0),
  /** Revision of each model's channel document that this task follows. */
  channels: z.record(z.string(), z.int()),
  models: z.record(z.string(), z.array(TaskModelVersion)),
});
export type TaskReport = z.infer<typeof TaskReport>;

/** Answer of the status function of a region. */
export const RegionStatus = z.strictObject({
  region: z.string(),
  /** Epoch and head of the region's control log. */
  epoch: z.string(),
  head: z.int().min(0),
  tasks: z.array(TaskReport),
  /** Position at which each asked-for message id stands in the log; absent when the log does not hold it. */
  positions: z.record(z.string(), z.int()),
});
export type RegionStatus = z.infer<typeof RegionStatus>;

/** Request to the status function: message ids whose log position is asked for. */
export const StatusRequest = z.strictObject({ messageIds: z.array(z.uuid()).max(100).default([]) });
export type StatusRequest = z.infer<typeof StatusRequest>;
