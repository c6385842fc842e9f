/** Header fields of a message: lower-case names; a field that came in several lines has an array. */
export type Fields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The lines of a field, in order; none when it is absent. */
export function linesOf(fields: Fields, name: string): readonly string[] {
  const value = fields[name];
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

/** The field as one value: its lines joined by commas (RFC 9110, 5.3); `undefined` when it is absent. */
export function fieldValue(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return value === undefined || typeof value === 'string' ? value : value.join(', ');
}

/** Members of a comma-separated list without quoted strings, empty ones left out, in lower case. */
export function tokensOf(fields: Fields, name: string): string[] {
  const value = fieldValue(fields, name);
  if (value === undefined) return [];
  return value
    .toLowerCase()
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '');
}

/** Splits at commas outside quoted strings (RFC 9110, 5.6.1). Members are trimmed; empty ones are left out. */
export function splitList(value: string): string[] {
  const members: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i <= value.length; i++) {
    const character = value[i];
    if (quoted && character === '\\') i++;
    else if (character === '"') quoted = !quoted;
    else if (i === value.length || (character === ',' && !quoted)) {
      const member = value.slice(start, i).trim();
      if (member !== '') members.push(member);
      start = i + 1;
    }
  }
  if (quoted) members.push(value.slice(start).trim());
  return members;
}
