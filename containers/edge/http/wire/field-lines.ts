/** Field lines, each ended by CRLF, of names and values in turn. The values must be free of control characters. */
export function fieldLines(fields: readonly string[]): string {
  let lines = '';
  for (let i = 0; i + 1 < fields.length; i += 2) lines += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return lines;
}

let second = -1;
let line = '';

/** The `Date` field line of an answer given now (RFC 9110, 6.6.1), ended by CRLF; written once a second. */
export function dateLine(): string {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) {
    second = now;
    line = `date: ${new Date(now * 1000).toUTCString()}\r\n`;
  }
  return line;
}
