const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAY = '(?:mon|tue|wed|thu|fri|sat|sun)';
const MONTH = `(${MONTHS.join('|')})`;
const TIME = '(\\d{2}):(\\d{2}):(\\d{2})';

const IMF_FIXDATE = new RegExp(`^${DAY}, (\\d{2}) ${MONTH} (\\d{4}) ${TIME} gmt$`, 'i');
const RFC_850 = new RegExp(`^(?:mon|tues|wednes|thurs|fri|satur|sun)day, (\\d{2})-${MONTH}-(\\d{2}) ${TIME} gmt$`, 'i');
const ASCTIME = new RegExp(`^${DAY} ${MONTH} ([\\d ]\\d) ${TIME} (\\d{4})$`, 'i');

/**
 * Reads an HTTP-date in any of its three forms (RFC 9110, 5.6.7), letter case aside; ms since 1970, or `undefined` for
 * anything else. `Date.parse` takes far more than that: other time zones, missing commas, ISO 8601.
 */
export function parseHttpDate(text: string): number | undefined {
  const imf = IMF_FIXDATE.exec(text);
  if (imf) return toTime(imf[3], imf[2], imf[1], imf.slice(4));
  const rfc850 = RFC_850.exec(text);
  if (rfc850) return toTime(fullYear(Number(rfc850[3])), rfc850[2], rfc850[1], rfc850.slice(4));
  const asctime = ASCTIME.exec(text);
  if (asctime) return toTime(asctime[6], asctime[1], asctime[2], asctime.slice(3, 6));
  return undefined;
}

/** A two-digit year that would lie more than 50 years ahead is one of the past century (RFC 9110, 5.6.7). */
function fullYear(twoDigits: number): number {
  const now = new Date().getUTCFullYear();
  const year = now - (now % 100) + twoDigits;
  return year > now + 50 ? year - 100 : year;
}

function toTime(
  year: string | number | undefined,
  month: string | undefined,
  day: string | undefined,
  [hour, minute, second]: readonly (string | undefined)[],
): number | undefined {
  const monthIndex = MONTHS.indexOf(String(month).toLowerCase());
  // Date.UTC takes years below 100 for those of the 20th century.
  const date = new Date(0);
  date.setUTCFullYear(Number(year), monthIndex, Number(day));
  const isReal = date.getUTCDate() === Number(day) && Number(hour) < 24 && Number(minute) < 60 && Number(second) <= 60;
  return isReal ? date.setUTCHours(Number(hour), Number(minute), Number(second)) : undefined;
}
