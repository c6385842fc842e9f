import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { z } from 'zod';
import { CHANNEL_PREFIX, ChannelDocument, channelKey } from '../core/channel';
import { modelBucketName } from '../core/resource-names';
import { ControlError } from './errors';
import { getObject, putObject } from './objects';
import type { ControlPlane } from './plane';

/** A channel document as it was read, with what a later write must match. */
interface ReadChannel {
  readonly document: ChannelDocument;
  readonly etag: string;
}

/**
 * Reads a model's channel from the home region; `undefined` before the first publication.
 * @throws ControlError when the document is not one
 */
export async function readChannel(plane: ControlPlane, model: string): Promise<ReadChannel | undefined> {
  const key = channelKey(model);
  const object = await getObject(plane, key);
  if (object === undefined) return undefined;
  try {
    return { document: ChannelDocument.parse(JSON.parse(object.body)), etag: object.etag };
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new ControlError(`${key} in ${plane.homeRegion} is not a channel document: ${reason}`);
  }
}

/** Channels of all models, by name. */
export async function listChannels(plane: ControlPlane): Promise<ChannelDocument[]> {
  const keys: string[] = [];
  let token: string | undefined;
  do {
    const page = await plane.clients.s3(plane.homeRegion).send(
      new ListObjectsV2Command({
        Bucket: modelBucketName(plane.scope, plane.homeRegion),
        Prefix: CHANNEL_PREFIX,
        ...(token ? { ContinuationToken: token } : {}),
      }),
    );
    keys.push(...(page.Contents ?? []).flatMap(({ Key }) => (Key?.endsWith('.json') ? [Key] : [])));
    token = page.NextContinuationToken;
  } while (token);
  const models = keys.map((key) => key.slice(CHANNEL_PREFIX.length, -'.json'.length));
  const channels = await Promise.all(models.map((model) => readChannel(plane, model)));
  return channels.flatMap((channel) => (channel ? [channel.document] : []));
}

/**
 * Points a model's channel at a version, keeping the former one as `previous`. A channel already there is left alone.
 * @throws ControlError when another operation moved the channel at the same time
 */
export async function moveChannel(
  plane: ControlPlane,
  model: string,
  version: string,
): Promise<{ readonly document: ChannelDocument; readonly moved: boolean }> {
  const current = await readChannel(plane, model);
  if (current?.document.production === version) return { document: current.document, moved: false };

  const document: ChannelDocument = {
    schemaVersion: 1,
    model,
    production: version,
    ...(current ? { previous: current.document.production } : {}),
    revision: (current?.document.revision ?? 0) + 1,
    updatedAt: new Date().toISOString(),
  };
  const object = {
    key: channelKey(model),
    body: Buffer.from(`${JSON.stringify(document, null, 2)}\n`),
    contentType: 'application/json',
    cacheControl: 'no-cache',
  };
  const written = await putObject(plane, object, current ? { replace: current.etag } : 'create');
  if (!written) {
    throw new ControlError(
      `the channel of ${model} was moved by someone else at the same time; nothing was activated. See: mlcdn status`,
    );
  }
  return { document, moved: true };
}
