import { CACHE_TAG_HEADER } from '../../../lib/core/tags';
import type { CacheAnswer, Tier } from '../cache/types';

/** Name of this cache in `Cache-Status`. */
const CACHE_NAME = 'mlcdn-edge';

/** `Cache-Status` of an answer that no cache was asked for. RFC 9211. */
export const BYPASSED = `${CACHE_NAME}; fwd=bypass`;

/** Whether an answer was read from a tier instead of computed. */
export function isHit(answer: CacheAnswer): boolean {
  return answer.tier !== 'origin';
}

/** `Cache-Status` of one answer: where it came from, and for how many seconds it is fresh, negative if stale. RFC 9211. */
function cacheStatus(answer: CacheAnswer): string {
  if (isHit(answer)) return `${CACHE_NAME}; hit; detail=${answer.tier}; ttl=${answer.ttlSeconds}`;
  if (answer.bypassed === true) return BYPASSED;
  return `${CACHE_NAME}; fwd=miss${answer.stored ? '; stored' : ''}${answer.collapsed ? '; collapsed' : ''}`;
}

/** `Cache-Status` of a batch: `fwd=partial` where some rows were computed. */
export function batchCacheStatus(answers: readonly CacheAnswer[]): string {
  const [first] = answers;
  if (first === undefined) return BYPASSED;
  const hits = answers.filter(isHit);
  if (hits.length === 0) return cacheStatus(first);
  const tiers = [...new Set(hits.map((answer) => answer.tier))].join('+');
  if (hits.length < answers.length) return `${CACHE_NAME}; fwd=partial; detail="${hits.length} of ${answers.length}"`;
  const ttl = Math.min(...answers.map((answer) => answer.ttlSeconds));
  return `${CACHE_NAME}; hit; detail="${tiers}"; ttl=${ttl}`;
}

/** `Server-Timing`: ms spent at each tier, `infer` for the model. https://www.w3.org/TR/server-timing/ */
export function serverTiming(answers: readonly CacheAnswer[]): string {
  const totals = new Map<Tier, number>();
  for (const { timings } of answers) {
    for (const { tier, ms } of timings) totals.set(tier, Math.max(totals.get(tier) ?? 0, ms));
  }
  return [...totals].map(([tier, ms]) => timingText({ tier, ms })).join(', ');
}

function timingText({ tier, ms }: { readonly tier: Tier; readonly ms: number }): string {
  return `${tier === 'origin' ? 'infer' : tier};dur=${withMicroseconds(ms)}`;
}

const THOUSANDTHS = Array.from({ length: 1_000 }, (_, us) => `.${String(us).padStart(3, '0')}`);

/** As `ms.toFixed(3)`, which costs more than to look an entry up in memory. */
function withMicroseconds(ms: number): string {
  const us = Math.round(ms * 1_000);
  if (!(us >= 0 && us <= 0x7fffffff)) return ms.toFixed(3);
  const whole = Math.trunc(us / 1_000);
  return `${whole}${THOUSANDTHS[us - whole * 1_000]}`;
}

/** The slowest tier that had part in a batch, for metrics. */
export function slowestTier(answers: readonly CacheAnswer[]): Tier {
  const order: readonly Tier[] = ['memory', 'l1', 'l2', 'origin'];
  return order[Math.max(0, ...answers.map((answer) => order.indexOf(answer.tier)))] ?? 'origin';
}

/** Headers by which caches and operators understand an answer. */
export function answerHeaders(answer: CacheAnswer, cacheControl: string): Record<string, string> {
  return {
    'cache-status': cacheStatus(answer),
    'cache-control': cacheControl,
    'server-timing': answer.timings.map(timingText).join(', '),
    [CACHE_TAG_HEADER]: answer.tags.join(','),
  };
}

/** `answerHeaders` as field lines, each ended by CRLF. */
export function answerLines(answer: CacheAnswer, cacheControl: string): string {
  let timings = '';
  for (const timing of answer.timings) timings += timings === '' ? timingText(timing) : `, ${timingText(timing)}`;
  return (
    `cache-status: ${cacheStatus(answer)}\r\ncache-control: ${cacheControl}\r\n` +
    `server-timing: ${timings}\r\n${CACHE_TAG_HEADER}: ${tagsText(answer.tags)}\r\n`
  );
}

let lastTags: readonly string[] = [];
let lastTagsText = '';

/** Answers of one model, one after the other, have the same list. */
function tagsText(tags: readonly string[]): string {
  if (tags !== lastTags) {
    lastTags = tags;
    lastTagsText = tags.join(',');
  }
  return lastTagsText;
}

/** `Cache-Control` of a prediction asked by GET: public for as long as it stays fresh here, if its key names its version. */
export function predictionCacheControl(ttlSeconds: number, versionIsNamed: boolean): string {
  return versionIsNamed && ttlSeconds > 0 ? `public, max-age=${ttlSeconds}` : 'no-store';
}

/** `Cache-Status` of an answer from the memory tier. */
export function memoryHitStatus(ttlSeconds: number): string {
  return `${CACHE_NAME}; hit; detail=memory; ttl=${ttlSeconds}`;
}

/** `Server-Timing` of an answer from the memory tier. */
export function memoryTiming(ms: number): string {
  return timingText({ tier: 'memory', ms });
}
