import {
  type CloudFrontKeyValueStoreClient,
  ConflictException,
  DescribeKeyValueStoreCommand,
  GetKeyCommand,
  ResourceNotFoundException,
  UpdateKeysCommand,
} from '@aws-sdk/client-cloudfront-keyvaluestore';

/** A KeyValueStore of CloudFront, and how a pause is made. */
export interface KeyValueStore {
  readonly client: CloudFrontKeyValueStoreClient;
  readonly arn: string;
  pause(ms: number): Promise<void>;
}

/** How often a key is written when other writers come before; each time the pause is 50 ms longer. */
const MAX_ATTEMPTS = 8;

/** The value of a key; `undefined` where there is none. */
export async function readKey({ client, arn }: KeyValueStore, key: string): Promise<string | undefined> {
  try {
    const { Value } = await client.send(new GetKeyCommand({ KvsARN: arn, Key: key }));
    return Value;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return undefined;
    throw error;
  }
}

/**
 * Writes what `next` says, and never over a change that somebody else made meanwhile: the store's ETag, which the write must
 * match, is taken before `next` is asked. `next` may run several times; `undefined` leaves the key as it is.
 * @returns whether it was written
 * @throws what `tooBusy` makes of the reason, when other writers kept winning
 */
export async function updateKey(
  store: KeyValueStore,
  key: string,
  next: () => Promise<string | undefined>,
  tooBusy: (reason: string) => Error = (reason) => new Error(reason),
): Promise<boolean> {
  const { client, arn } = store;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const { ETag } = await client.send(new DescribeKeyValueStoreCommand({ KvsARN: arn }));
    const value = await next();
    if (value === undefined) return false;
    try {
      const Puts = [{ Key: key, Value: value }];
      await client.send(new UpdateKeysCommand({ KvsARN: arn, IfMatch: ETag, Puts }));
      return true;
    } catch (error) {
      if (!(error instanceof ConflictException)) throw error;
      await store.pause(50 * attempt);
    }
  }
  throw tooBusy(`KeyValueStore ${arn} kept changing under ${MAX_ATTEMPTS} attempts to write ${key}`);
}
