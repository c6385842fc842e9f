import { type Fields, fieldValue } from './fields';
import { parseHttpDate } from './http-date';

/** Request fields that make a GET depend on the stored state of its resource. */
export const CONDITIONAL_FIELDS = ['if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'if-range'];

/** Whether the client already has this response, so that 304 answers it (RFC 9110, 13.2.2; RFC 9111, 4.3.2). */
export function isNotModified(request: Fields, response: Fields): boolean {
  const noneMatch = fieldValue(request, 'if-none-match');
  if (noneMatch !== undefined) return matchesAny(noneMatch, fieldValue(response, 'etag'));
  const since = parseHttpDate(fieldValue(request, 'if-modified-since') ?? '');
  const changed = parseHttpDate(fieldValue(response, 'last-modified') ?? fieldValue(response, 'date') ?? '');
  return since !== undefined && changed !== undefined && changed <= since;
}

/** Whether a `Range` may be applied to this response: no `If-Range`, or one that names it exactly (RFC 9110, 13.1.5). */
export function rangeApplies(request: Fields, response: Fields): boolean {
  const condition = fieldValue(request, 'if-range');
  if (condition === undefined) return true;
  if (condition.startsWith('"')) return condition === fieldValue(response, 'etag');
  const lastModified = parseHttpDate(fieldValue(response, 'last-modified') ?? '');
  if (lastModified === undefined || parseHttpDate(condition) !== lastModified) return false;
  // Within the second in which it was sent it may have changed once more (RFC 9110, 8.8.2.2).
  const date = parseHttpDate(fieldValue(response, 'date') ?? '');
  return date === undefined || date > lastModified;
}

/** Fields by which the origin is asked whether a stored response still holds (RFC 9111, 4.3.1). */
export function validationFields(stored: Fields): Record<string, string> {
  const fields: Record<string, string> = {};
  const etag = fieldValue(stored, 'etag');
  const lastModified = fieldValue(stored, 'last-modified');
  if (etag !== undefined) fields['if-none-match'] = etag;
  if (lastModified !== undefined) fields['if-modified-since'] = lastModified;
  return fields;
}

/** Its backslash escapes nothing (RFC 9110, 8.8.3); some send it without its quotes. */
const ENTITY_TAG = /(?:[^\s,"]|"[^"]*")+/g;

/** Weak comparison of the members of `If-None-Match` with one entity tag (RFC 9110, 8.8.3.2). */
function matchesAny(list: string, etag: string | undefined): boolean {
  if (list.trim() === '*') return true;
  if (etag === undefined) return false;
  return list.match(ENTITY_TAG)?.some((member) => opaque(member) === opaque(etag)) ?? false;
}

function opaque(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag;
}
