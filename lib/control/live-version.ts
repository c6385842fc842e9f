import { type KeyValueStore, readKey, updateKey } from '../aws/key-value-store';
import { liveVersionKvsKey } from '../core/channel';
import { readChannel } from './channel';
import { ControlError } from './errors';
import type { ControlPlane } from './plane';

/** Version of a model that CloudFront puts into its cache keys; `undefined` when it knows none. */
export function readLiveVersion(plane: ControlPlane, model: string): Promise<string | undefined> {
  return readKey(storeOf(plane), liveVersionKvsKey(model));
}

/**
 * Brings CloudFront's KeyValueStore to what the model's channel says. The channel is read after the store's ETag, so of
 * several writers the last one to succeed writes the newest channel.
 * @returns whether anything changed
 * @throws ControlError when other writers kept winning
 */
export function syncLiveVersion(plane: ControlPlane, model: string): Promise<boolean> {
  const next = async () => {
    const channel = await readChannel(plane, model);
    if (channel === undefined) throw new ControlError(`model ${model} has no channel to read the live version from`);
    const version = channel.document.production;
    return (await readLiveVersion(plane, model)) === version ? undefined : version;
  };
  const tooBusy = (reason: string) => new ControlError(`${reason}; publish again to finish`);
  return updateKey(storeOf(plane), liveVersionKvsKey(model), next, tooBusy);
}

/** The environment's KeyValueStore, with the plane's clock. */
export function storeOf({ clients, keyValueStoreArn, clock }: ControlPlane): KeyValueStore {
  return { client: clients.keyValueStore, arn: keyValueStoreArn, pause: (ms) => clock.sleep(ms) };
}
