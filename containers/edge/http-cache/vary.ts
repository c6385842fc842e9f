import { createHash } from 'node:crypto';
import { type Fields, fieldValue, tokensOf } from './fields';

/** Request fields that select among a resource's responses: sorted, without repetition; empty when nothing does. */
export function varyNames(responseHeaders: Fields): string[] {
  return [...new Set(tokensOf(responseHeaders, 'vary'))].sort();
}

/**
 * Name of the variant that this request selects: a digest of the selecting fields' normalised values. Requests whose
 * fields differ only in spacing, in the number of lines, or in the order of equally preferred languages or encodings
 * share it (RFC 9111, 4.1).
 */
export function variantOf(names: readonly string[], request: Fields): string {
  const hash = createHash('sha256');
  for (const name of names) hash.update(`${name}:${normalised(name, fieldValue(request, name))}\n`);
  return hash.digest('base64url');
}

/** Fields whose members carry weights and whose order says nothing (RFC 9110, 12.5). */
const WEIGHTED: ReadonlySet<string> = new Set(['accept-language', 'accept-encoding', 'accept-charset']);

function normalised(name: string, value: string | undefined): string {
  if (value === undefined) return 'absent';
  if (WEIGHTED.has(name)) return `=${byPreference(value)}`;
  return `=${value
    .split(',')
    .map((member) => member.trim())
    .join(',')}`;
}

function byPreference(value: string): string {
  return value
    .toLowerCase()
    .split(',')
    .map((member) => member.replace(/\s+/g, ''))
    .filter((member) => member !== '')
    .map((member) => {
      const [range = '', ...parameters] = member.split(';');
      const weight = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1);
      return { range, weight };
    })
    .sort((a, b) => b.weight - a.weight || (a.range < b.range ? -1 : 1))
    .map(({ range, weight }) => `${range};${weight}`)
    .join(',');
}
