import {
  type CloudFrontKeyValueStoreClient,
  ConflictException,
  DescribeKeyValueStoreCommand,
  GetKeyCommand,
  ResourceNotFoundException,
  UpdateKeysCommand,
} from '@aws-sdk/client-cloudfront-keyvaluestore';
import { decodeRoutingTable, encodeRoutingTable, ROUTING_TABLE_KEY, type RoutingTable } from '../core/routing-table';

const MAX_ATTEMPTS = 8;

const EMPTY: RoutingTable = { measuredAt: 0, regions: [] };

/** The KeyValueStore that holds the routing table, and how a pause is made. */
export interface RoutingTableStore {
  readonly client: CloudFrontKeyValueStoreClient;
  readonly arn: string;
  pause(ms: number): Promise<void>;
}

/** The table as it stands; empty when there is none, or none that can be read. */
export async function readRoutingTable({ client, arn }: RoutingTableStore): Promise<RoutingTable> {
  try {
    const { Value } = await client.send(new GetKeyCommand({ KvsARN: arn, Key: ROUTING_TABLE_KEY }));
    return decodeRoutingTable(Value ?? '') ?? EMPTY;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return EMPTY;
    throw error;
  }
}

/**
 * Replaces the table by what `change` makes of it, whole, and never over a change that somebody else made meanwhile: the
 * table is read after the store's ETag, which the update must match. `change` may run several times.
 * @returns whether anything had to be written
 * @throws Error when other writers kept winning
 */
export async function updateRoutingTable(
  store: RoutingTableStore,
  change: (table: RoutingTable) => RoutingTable,
): Promise<boolean> {
  const KvsARN = store.arn;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const { ETag } = await store.client.send(new DescribeKeyValueStoreCommand({ KvsARN }));
    const current = await readRoutingTable(store);
    const Value = encodeRoutingTable(change(current));
    if (Value === encodeRoutingTable(current)) return false;
    try {
      const Puts = [{ Key: ROUTING_TABLE_KEY, Value }];
      await store.client.send(new UpdateKeysCommand({ KvsARN, IfMatch: ETag, Puts }));
      return true;
    } catch (error) {
      if (!(error instanceof ConflictException)) throw error;
      await store.pause(50 * attempt);
    }
  }
  throw new Error(
    `KeyValueStore ${store.arn} kept changing under ${MAX_ATTEMPTS} attempts to write ${ROUTING_TABLE_KEY}`,
  );
}
