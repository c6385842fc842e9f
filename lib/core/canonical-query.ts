/**
 * One spelling for the query of `GET /predict`, so that equal questions share one cache entry. Runs in CloudFront
 * Functions too: no syntax or library beyond what JavaScript runtime 2.0 offers.
 */

/** Values of each query parameter, as they stand in the URL (percent-encoded), in the order of the URL. */
export interface QueryValues {
  [name: string]: string[];
}

/** The parameters that a prediction depends on, in canonical order. Anything else is dropped. */
const PARAMETERS = ['features', 'model', 'version'];

/** Decimal numbers only: `Number()` alone would also take '', '0x10' and 'Infinity'. */
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A decimal's sign, digits before and after the point, and exponent. */
const PARTS = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d{1,9}))?$/i;

/** Decodes a form-encoded value (WHATWG URL, application/x-www-form-urlencoded); text with a broken escape stays as it is. */
export function decodeFormValue(value: string): string {
  // No regular expression: njs (0.7.9) throws where one matches at the end of a long text that is not all ASCII.
  const spaced = value.split('+').join(' ');
  try {
    return decodeURIComponent(spaced);
  } catch (error) {
    if (error instanceof URIError) return value;
    throw error;
  }
}

function encode(text: string): string {
  return encodeURIComponent(text).split('%2C').join(',');
}

/**
 * One spelling of a decimal number, of exactly the same value. The text is rearranged and never read as a number: njs,
 * the engine of CloudFront Functions, writes some doubles a digit off (0.30000000000000004 as 0.30000000000000007), and
 * the service would compute with that. What is not a decimal number stays as it is, for the service to refuse.
 */
function canonicalNumber(text: string): string {
  const trimmed = text.trim();
  const parts = DECIMAL.test(trimmed) ? PARTS.exec(trimmed) : null;
  if (!parts) return text;
  const whole = parts[2] || '';
  const fraction = parts[3] || '';
  const leading = (whole + fraction).replace(/^0+/, '');
  const digits = leading.replace(/0+$/, '');
  if (digits === '') return '0';
  // The value is 0.digits x 10^point.
  const point = leading.length - fraction.length + Number(parts[4] || 0);
  return (parts[1] === '-' ? '-' : '') + spelled(digits, point);
}

/** As `String` spells a number with these digits, but for the plus sign of an exponent, which a query would escape. */
function spelled(digits: string, point: number): string {
  if (point > 21 || point <= -6) {
    const rest = digits.slice(1);
    return `${digits.charAt(0)}${rest && `.${rest}`}e${point - 1}`;
  }
  if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`;
  if (point >= digits.length) return digits + '0'.repeat(point - digits.length);
  return `${digits.slice(0, point)}.${digits.slice(point)}`;
}

function canonicalValue(name: string, value: string): string {
  const text = decodeFormValue(value);
  if (name !== 'features') return encode(text);
  return encode(text.split(',').map(canonicalNumber).join(','));
}

/**
 * The canonical query: only `features`, `model` and `version`, in this order, numbers in their shortest spelling, the
 * default model named. Idempotent. A repeated parameter keeps all its values in order, for the service to refuse.
 */
export function canonicalPredictionQuery(query: QueryValues, defaultModel: string): QueryValues {
  const canonical: QueryValues = {};
  PARAMETERS.forEach((name) => {
    const given = query[name];
    const values = given === undefined && name === 'model' ? [defaultModel] : given;
    if (values !== undefined) canonical[name] = values.map((value) => canonicalValue(name, value));
  });
  return canonical;
}
