import {
  ConflictException,
  DescribeKeyValueStoreCommand,
  GetKeyCommand,
  ResourceNotFoundException,
  UpdateKeysCommand,
} from '@aws-sdk/client-cloudfront-keyvaluestore';
import { liveVersionKvsKey } from '../core/channel';
import { readChannel } from './channel';
import { ControlError } from './errors';
import type { ControlPlane } from './plane';

const MAX_ATTEMPTS = 8;

/** Version of a model that CloudFront puts into its cache keys; `undefined` when it knows none. */
export async function readLiveVersion(plane: ControlPlane, model: string): Promise<string | undefined> {
  try {
    const key = liveVersionKvsKey(model);
    const answer = await plane.clients.keyValueStore.send(
      new GetKeyCommand({ KvsARN: plane.keyValueStoreArn, Key: key }),
    );
    return answer.Value;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return undefined;
    throw error;
  }
}

/**
 * Brings CloudFront's KeyValueStore to what the model's channel says. The channel is read after the store's ETag, so of
 * several writers the last one to succeed writes the newest channel.
 * @returns whether anything changed
 * @throws ControlError when other writers kept winning
 */
export async function syncLiveVersion(plane: ControlPlane, model: string): Promise<boolean> {
  const { keyValueStore } = plane.clients;
  const store = { KvsARN: plane.keyValueStoreArn };
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const { ETag } = await keyValueStore.send(new DescribeKeyValueStoreCommand(store));
    const channel = await readChannel(plane, model);
    if (channel === undefined) throw new ControlError(`model ${model} has no channel to read the live version from`);
    const version = channel.document.production;
    if ((await readLiveVersion(plane, model)) === version) return false;
    try {
      const puts = [{ Key: liveVersionKvsKey(model), Value: version }];
      await keyValueStore.send(new UpdateKeysCommand({ ...store, IfMatch: ETag, Puts: puts }));
      return true;
    } catch (error) {
      if (!(error instanceof ConflictException)) throw error;
      await plane.clock.sleep(50 * attempt);
    }
  }
  throw new ControlError(
    `KeyValueStore ${plane.keyValueStoreArn} kept changing under ${MAX_ATTEMPTS} attempts to write ${liveVersionKvsKey(model)}; publish again to finish`,
  );
}
