import { type EdgeCache, retainedUntil } from '../cache/types';
import { decodeHeld } from './stored-response';

/**
 * How long the list of selecting fields that is stored under `key` is kept from now on, ms; 0 when there is none. Every
 * variant that was stored before counts on it.
 */
export function variantListKeptForMs(cache: Pick<EdgeCache, 'inMemory'>, key: string, clock: () => number): number {
  const entry = cache.inMemory(key);
  return entry && decodeHeld(entry)?.kind === 'varies' ? Math.max(0, retainedUntil(entry) - clock()) : 0;
}
