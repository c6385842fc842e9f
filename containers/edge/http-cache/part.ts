import type { IncomingMessage } from 'node:http';
import type { Answer } from './answer';
import { parseContentRange, parseRange } from './byte-range';
import { isNotModified, rangeApplies } from './conditional';
import { fieldValue } from './fields';
import type { ResponseHead, StoredPart } from './stored-response';

/**
 * The part that a 206 says it brings; `undefined` where its `Content-Range` cannot be placed, or belies its
 * `Content-Length`: which of the two is wrong cannot be told.
 */
export function partOf(headers: ResponseHead['headers'], asked: string): StoredPart | undefined {
  const range = parseContentRange(fieldValue(headers, 'content-range'));
  const length = fieldValue(headers, 'content-length');
  if (!range || (length !== undefined && Number(length) !== range.last - range.first + 1)) return undefined;
  return { ...range, asked };
}

/** An answer out of a stored part, where it holds what the request asks for. */
export function partAnswer(
  request: IncomingMessage,
  head: ResponseHead,
  stored: Buffer,
  provenance: Pick<Answer, 'cacheStatus' | 'ageSeconds' | 'level'>,
): Answer | undefined {
  const asked = fieldValue(request.headers, 'range');
  const { part } = head;
  if (!part || asked === undefined || request.method !== 'GET' || !rangeApplies(request.headers, head.headers)) {
    return undefined;
  }
  // That it is unchanged is better said of the whole.
  if (isNotModified(request.headers, head.headers)) return undefined;
  const range = asked === part.asked ? part : part.complete !== undefined && parseRange(asked, part.complete);
  if (!range || range === 'unsatisfiable' || range.first < part.first || range.last > part.last) return undefined;
  const { first, last } = range;
  const headers = { ...head.headers, 'content-range': `bytes ${first}-${last}/${part.complete ?? '*'}` };
  const bytes = stored.subarray(first - part.first, last - part.first + 1);
  return { ...head, headers, ...provenance, body: { kind: 'bytes', bytes }, evaluates: false };
}
