import { z } from 'zod';
import { ModelName, ModelVersion } from './model-name';

/**
 * A model's channel document, `channels/<model>.json` in the home bucket and, by replication, in every region:
 * the durable truth of which version is live. Control messages only make a change of it arrive sooner.
 */
export const ChannelDocument = z.strictObject({
  schemaVersion: z.literal(1),
  model: ModelName,
  production: ModelVersion,
  /** The version `production` pointed to before, kept resident for an instant rollback. */
  previous: ModelVersion.optional(),
  /** Grows by one with every move; a task ignores a document older than the one it has applied. */
  revision: z.int().positive(),
  updatedAt: z.iso.datetime(),
});
export type ChannelDocument = z.infer<typeof ChannelDocument>;

/** Prefix under which channel documents live. */
export const CHANNEL_PREFIX = 'channels/';

/** Object key of a model's channel document. */
export function channelKey(model: string): string {
  return `${CHANNEL_PREFIX}${model}.json`;
}

/** Key in CloudFront's KeyValueStore whose value is the live version of a model; read by the viewer-request function. */
export function liveVersionKvsKey(model: string): string {
  return `live:${model}`;
}

/** Request header by which the viewer-request function tells the service which version the POP's cache key names. */
export const LIVE_VERSION_HEADER = 'x-mlcdn-live-version';
