import type { CacheEntry, EdgeCache, FillTicket, Found, StoredTier } from '../cache/types';
import type { ForwardReason } from './cache-status';
import type { Fields } from './fields';
import { decodeHeld, decodeStored, type ResponseHead, type StoredItem } from './stored-response';
import { variantOf } from './vary';

/** A stored response that a request selects. */
export interface Selected {
  readonly entry: CacheEntry;
  readonly head: ResponseHead;
  readonly inlineBody: Buffer;
  readonly tier: StoredTier;
}

/** What is stored under a request's key. */
export interface Selection {
  readonly selected: Selected | undefined;
  /** Key by which concurrent fills are one. */
  readonly flightKey: string;
  readonly missReason: ForwardReason;
}

/** What has been looked up for a request before the one who answers it gets it. */
export class LookedUp {
  /** Begun before the look-up: an invalidation since makes whatever the origin confirms or sends too old to store. */
  readonly ticket: FillTicket;
  readonly selection: Selection;

  constructor(ticket: FillTicket, selection: Selection) {
    this.ticket = ticket;
    this.selection = selection;
  }
}

/** Looks up the response that a request with these header fields selects; calls back once, at once or later. */
export function lookUp(cache: EdgeCache, key: string, fields: Fields, onFound: (found: LookedUp) => void): void {
  const ticket = cache.beginFill(key);
  select(cache, key, fields, (selection) => onFound(new LookedUp(ticket, selection)));
}

/** Finds the response that a request with these header fields selects (RFC 9111, 4.1); calls back as `lookUp` does. */
export function select(
  cache: EdgeCache,
  key: string,
  fields: Fields,
  onSelected: (selection: Selection) => void,
): void {
  cache.seek(key, (found) => selectFrom(cache, key, fields, found, onSelected));
}

/** As `select`, when `found` is what lies under the key. */
export function selectFrom(
  cache: EdgeCache,
  key: string,
  fields: Fields,
  found: Found | undefined,
  onSelected: (selection: Selection) => void,
): void {
  const item = found && read(found);
  if (item?.kind === 'varies') {
    selectVariant(cache, `${key}\n${variantOf(item.names, fields)}`, onSelected);
    return;
  }
  const selected = found && selectedOf(found, item);
  onSelected({ selected, flightKey: key, missReason: selected ? 'stale' : 'uri-miss' });
}

function selectVariant(cache: EdgeCache, variant: string, onSelected: (selection: Selection) => void): void {
  cache.seek(variant, (found) => {
    const selected = found && selectedOf(found, read(found));
    onSelected({ selected, flightKey: variant, missReason: selected ? 'stale' : 'vary-miss' });
  });
}

function read({ entry, tier }: Found): StoredItem | undefined {
  return tier === 'memory' ? decodeHeld(entry) : decodeStored(entry);
}

function selectedOf({ entry, tier }: Found, item: StoredItem | undefined): Selected | undefined {
  if (item?.kind !== 'response') return undefined;
  return { entry, head: item.head, inlineBody: item.inlineBody, tier };
}
