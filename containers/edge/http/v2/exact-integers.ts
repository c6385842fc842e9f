const QUOTE = '"'.charCodeAt(0);
const BACKSLASH = '\\'.charCodeAt(0);
const MINUS = '-'.charCodeAt(0);
const ZERO = '0'.charCodeAt(0);
const NINE = '9'.charCodeAt(0);

/** The fewest digits of an integer beyond 2^53. */
const LONG_DIGITS = 16;

/**
 * JSON text in which every integer of 16 digits or more has become a string. `JSON.parse` rounds numbers beyond 2^53
 * and, on Node 20, gives no access to their text. The text must be valid JSON.
 */
export function quoteLongIntegers(text: string): string {
  const pieces: string[] = [];
  let copied = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
    } else if (code === MINUS || isDigit(code)) {
      const end = endOfNumber(text, at);
      if (isLongInteger(text, at, end)) {
        pieces.push(text.slice(copied, at), `"${text.slice(at, end)}"`);
        copied = end;
      }
      at = end;
    } else {
      at += 1;
    }
  }
  return pieces.length === 0 ? text : pieces.join('') + text.slice(copied);
}

/** Where the string that begins at `start` ends, behind its closing quote. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    if (code === BACKSLASH) at += 1;
  }
  return text.length;
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && '0123456789.eE+-'.includes(text.charAt(at))) at += 1;
  return at;
}

function isLongInteger(text: string, start: number, end: number): boolean {
  if (end - start < LONG_DIGITS) return false;
  const first = text.charCodeAt(start) === MINUS ? start + 1 : start;
  for (let at = first; at < end; at += 1) if (!isDigit(text.charCodeAt(at))) return false;
  return end - first >= LONG_DIGITS;
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}
