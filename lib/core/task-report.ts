import { z } from 'zod';

/** One version as a task holds it. `refused` versions never serve; `reason` says why. */
export const TaskModelVersion = z.strictObject({
  version: z.string(),
  state: z.enum(['preparing', 'ready', 'active', 'refused']),
  reason: z.string().optional(),
});
export type TaskModelVersion = z.infer<typeof TaskModelVersion>;

/** How a task fares, for the choice of a region. */
export const TaskTraffic = z.strictObject({
  /** Whether its `/health` answers 200. */
  serving: z.boolean(),
  /** 0 to 1: the busiest of event loop, model slots and queues. */
  load: z.number().min(0),
  /** Share of its look-ups of about the last minute that its caches answered, 0 to 1. */
  hitRate: z.number().min(0).max(1),
});
export type TaskTraffic = z.infer<typeof TaskTraffic>;

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
  /** Absent in the reports of versions that did not say. */
  traffic: TaskTraffic.optional(),
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
