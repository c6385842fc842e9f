import { decodeRoutingTable, encodeRoutingTable, ROUTING_TABLE_KEY, type RoutingTable } from '../core/routing-table';
import { type KeyValueStore, readKey, updateKey } from './key-value-store';

const EMPTY: RoutingTable = { measuredAt: 0, regions: [] };

/** The table as it stands; empty when there is none, or none that can be read. */
export async function readRoutingTable(store: KeyValueStore): Promise<RoutingTable> {
  return decodeRoutingTable((await readKey(store, ROUTING_TABLE_KEY)) ?? '') ?? EMPTY;
}

/**
 * Replaces the table by what `change` makes of it, whole, and never over a change that somebody else made meanwhile.
 * `change` may run several times.
 * @returns whether anything had to be written
 * @throws Error when other writers kept winning
 */
export function updateRoutingTable(
  store: KeyValueStore,
  change: (table: RoutingTable) => RoutingTable,
): Promise<boolean> {
  return updateKey(store, ROUTING_TABLE_KEY, async () => {
    const current = await readRoutingTable(store);
    const value = encodeRoutingTable(change(current));
    return value === encodeRoutingTable(current) ? undefined : value;
  });
}
