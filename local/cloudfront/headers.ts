import { HOP_BY_HOP_FIELDS } from '../../lib/core/hop-by-hop';

/** Header fields by lower-case name; several values of one name stay apart, as `Set-Cookie` needs. */
export type Headers = Map<string, readonly string[]>;

/** Header fields as Node gives them, with lower-case names and without absent ones. */
export function headersFrom(source: Readonly<Record<string, string | readonly string[] | undefined>>): Headers {
  const headers: Headers = new Map();
  for (const [name, value] of Object.entries(source)) {
    if (value !== undefined) headers.set(name.toLowerCase(), typeof value === 'string' ? [value] : value);
  }
  return headers;
}

/** All values of a field as one list, or `undefined` when it is absent. */
export function headerValue(headers: Headers, name: string): string | undefined {
  const values = headers.get(name);
  return values === undefined ? undefined : values.join(name === 'cookie' ? '; ' : ', ');
}

/** Removes the fields of the connection, also the ones that `Connection` names. */
export function removeHopByHop(headers: Headers): void {
  const named = (headerValue(headers, 'connection') ?? '').split(',').map((name) => name.trim().toLowerCase());
  for (const name of [...HOP_BY_HOP_FIELDS, ...named]) headers.delete(name);
}

/** Header fields as Node's `writeHead` and undici take them. */
export function plainHeaders(headers: Headers): Record<string, string | string[]> {
  return Object.fromEntries(
    [...headers].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : [...values]]),
  );
}
