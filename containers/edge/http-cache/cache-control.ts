import { parseDictionary } from 'structured-headers';
import { type Fields, fieldValue, linesOf, splitList } from './fields';

/** Cache directives by lower-case name; `true` for one without an argument, else the argument without its quotes. */
export type Directives = ReadonlyMap<string, string | true>;

const NO_DIRECTIVES: Directives = new Map();

/** A delta that stands for "for ever"; larger ones are read as this (RFC 9111, 1.2.2). */
export const MAX_DELTA_SECONDS = 2_147_483_648;

const DIRECTIVE = /^([!#$%&'*+.^_`|~0-9a-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*)))?$/i;

/** Directives that may name the fields to which they are limited (RFC 9111, 5.2.2.4 and 5.2.2.7). */
const QUALIFIABLE: ReadonlySet<string> = new Set(['no-cache', 'private']);

/**
 * Directives of `Cache-Control`. Malformed ones are left out; of several with one name the first counts, or all of them
 * where they name fields, and one without fields before any with.
 */
export function parseCacheControl(lines: readonly string[]): Directives {
  if (lines.length === 0) return NO_DIRECTIVES;
  const directives = new Map<string, string | true>();
  for (const member of lines.flatMap(splitList)) {
    const match = DIRECTIVE.exec(member);
    const name = match?.[1]?.toLowerCase();
    if (!match || name === undefined) continue;
    const argument = match[2]?.replace(/\\(.)/g, '$1') ?? match[3] ?? true;
    const before = directives.get(name);
    if (before === undefined) directives.set(name, argument);
    else if (QUALIFIABLE.has(name)) directives.set(name, combined(before, argument));
  }
  return directives;
}

function combined(one: string | true, other: string | true): string | true {
  return one === true || other === true ? true : `${one},${other}`;
}

/** Directives of a request; `Pragma: no-cache` counts where there is no `Cache-Control` (RFC 9111, 5.4). */
export function requestDirectives(fields: Fields): Directives {
  const lines = linesOf(fields, 'cache-control');
  if (lines.length > 0) return parseCacheControl(lines);
  const pragma = fieldValue(fields, 'pragma');
  return pragma !== undefined && splitList(pragma.toLowerCase()).includes('no-cache')
    ? new Map([['no-cache', true]])
    : NO_DIRECTIVES;
}

/** What governs a response here, and whether it was addressed to CDNs, so that `Expires` does not count. */
export interface Governing {
  readonly directives: Directives;
  readonly targeted: boolean;
}

/** `CDN-Cache-Control` where it is present, well formed and not empty, else `Cache-Control` (RFC 9213, 2.2). */
export function governingDirectives(fields: Fields): Governing {
  const targeted = targetedDirectives(fieldValue(fields, 'cdn-cache-control'));
  if (targeted && targeted.size > 0) return { directives: targeted, targeted: true };
  return { directives: parseCacheControl(linesOf(fields, 'cache-control')), targeted: false };
}

/** Directives whose argument is a number of seconds: an Integer in a targeted field. */
const DELTA_DIRECTIVES: ReadonlySet<string> = new Set([
  'max-age',
  's-maxage',
  'stale-if-error',
  'stale-while-revalidate',
]);

/** A targeted field is a Dictionary (RFC 8941); one that does not parse is ignored whole, an unfit member by itself. */
function targetedDirectives(value: string | undefined): Directives | undefined {
  if (value === undefined) return undefined;
  try {
    const directives = new Map<string, string | true>();
    for (const [name, [item]] of parseDictionary(value)) {
      if (DELTA_DIRECTIVES.has(name)) {
        if (typeof item === 'number' && Number.isInteger(item)) directives.set(name, String(item));
      } else if (item === true) directives.set(name, true);
      else if (typeof item === 'string') directives.set(name, item);
    }
    return directives;
  } catch {
    return undefined;
  }
}

/**
 * Seconds of a directive; `undefined` when it is absent, 0 when its argument is no number of seconds: invalid freshness
 * is stale (RFC 9111, 4.2.1).
 */
export function seconds(directives: Directives, name: string): number | undefined {
  const argument = directives.get(name);
  if (argument === undefined) return undefined;
  return typeof argument === 'string' && /^\d+$/.test(argument) ? Math.min(Number(argument), MAX_DELTA_SECONDS) : 0;
}

/** Whether a `no-cache` or `private` is there for the whole response: it names no fields. */
export function isUnqualified(directives: Directives, name: string): boolean {
  return directives.has(name) && qualifiedFields(directives, name).length === 0;
}

/** Field names that a qualified `no-cache` or `private` lists (RFC 9111, 5.2.2); empty when it is absent or unqualified. */
export function qualifiedFields(directives: Directives, name: string): string[] {
  const argument = directives.get(name);
  if (typeof argument !== 'string') return [];
  return splitList(argument.toLowerCase());
}
