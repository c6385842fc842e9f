import { z } from 'zod';
import { ModelName, ModelVersion } from './model-name';
import { CacheTag } from './tags';

/** What an invalidation names. At least one list is non-empty. A model is invalidated by its tag. */
export const InvalidationTargets = z
  .strictObject({
    keys: z.array(z.string().min(1).max(2048)).max(1000).default([]),
    tags: z.array(CacheTag).max(1000).default([]),
    prefixes: z.array(z.string().min(1).max(2048)).max(100).default([]),
    /** Globs over keys: `*` matches any run of characters, `?` exactly one. */
    patterns: z.array(z.string().min(1).max(2048)).max(100).default([]),
  })
  .refine((t) => t.keys.length + t.tags.length + t.prefixes.length + t.patterns.length > 0, {
    error: 'an invalidation must name at least one key, tag, prefix or pattern',
  });
export type InvalidationTargets = z.infer<typeof InvalidationTargets>;

/**
 * What travels SNS -> Lambda -> regional log -> every edge task. `id` makes delivery idempotent.
 * `prepare` asks tasks to download, verify and load a version; `activate` asks them to read the model's channel
 * document of at least `revision` now instead of at the next poll.
 */
export const ControlMessage = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('invalidate'), id: z.uuid(), targets: InvalidationTargets }),
  z.strictObject({ kind: z.literal('prepare'), id: z.uuid(), model: ModelName, version: ModelVersion }),
  z.strictObject({ kind: z.literal('activate'), id: z.uuid(), model: ModelName, revision: z.int().positive() }),
]);
export type ControlMessage = z.infer<typeof ControlMessage>;
export type InvalidateMessage = Extract<ControlMessage, { kind: 'invalidate' }>;
