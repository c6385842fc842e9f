import type { StoredTier } from '../cache/types';
import { ageOf, type ResponseHead } from './stored-response';

/** Name of this cache in `Cache-Status`. */
const CACHE_NAME = 'mlcdn-edge';

/** Why a request went to the origin (RFC 9211, 2.2). */
export type ForwardReason = 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'request' | 'stale' | 'partial';

/** `Cache-Status` of a stored response: its remaining freshness in seconds, negative when stale, and its tier. */
export function hitStatus(head: ResponseHead, tier: StoredTier, now: number, why?: 'revalidating' | 'error'): string {
  const ttl = Math.floor(head.freshness.lifetime - ageOf(head, now));
  return hitStatusOf(ttl, why === undefined ? tier : `"${tier}; stale while ${why}"`);
}

/** As `hitStatus`, from whole seconds of freshness. */
export function hitStatusOf(ttlSeconds: number, detail: string): string {
  return `${CACHE_NAME}; hit; ttl=${ttlSeconds}; detail=${detail}`;
}

/** `Cache-Status` of a response that came from the origin. */
export function forwardStatus(
  reason: ForwardReason,
  status: number,
  options: { stored?: boolean; collapsed?: boolean } = {},
): string {
  const stored = options.stored === true ? '; stored' : '';
  const collapsed = options.collapsed === true ? '; collapsed' : '';
  return `${CACHE_NAME}; fwd=${reason}; fwd-status=${status}${stored}${collapsed}`;
}
