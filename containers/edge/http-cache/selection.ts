import type { CacheEntry, EdgeCache, FillTicket, StoredTier } from '../cache/types';
import type { ForwardReason } from './cache-status';
import type { Fields } from './fields';
import { decodeStored, type ResponseHead } from './stored-response';
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

/** Looks up the response that a request with these header fields selects. */
export async function lookUp(cache: EdgeCache, key: string, fields: Fields): Promise<LookedUp> {
  const ticket = cache.beginFill(key);
  return new LookedUp(ticket, await select(cache, key, fields));
}

/** Finds the response that a request with these header fields selects (RFC 9111, 4.1). */
export async function select(cache: EdgeCache, key: string, fields: Fields): Promise<Selection> {
  const found = await cache.find(key);
  const item = found && decodeStored(found.entry);
  if (!found || !item) return { selected: undefined, flightKey: key, missReason: 'uri-miss' };
  if (item.kind === 'response') {
    return { selected: { ...item, ...found }, flightKey: key, missReason: 'stale' };
  }
  const variant = `${key}\n${variantOf(item.names, fields)}`;
  const foundVariant = await cache.find(variant);
  const variantItem = foundVariant && decodeStored(foundVariant.entry);
  if (!foundVariant || variantItem?.kind !== 'response') {
    return { selected: undefined, flightKey: variant, missReason: 'vary-miss' };
  }
  return { selected: { ...variantItem, ...foundVariant }, flightKey: variant, missReason: 'stale' };
}
