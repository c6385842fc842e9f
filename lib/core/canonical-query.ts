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

/** Decodes a form-encoded value (WHATWG URL, application/x-www-form-urlencoded); text with a broken escape stays as it is. */
export function decodeFormValue(value: string): string {
  const spaced = value.replace(/\+/g, ' ');
  try {
    return decodeURIComponent(spaced);
  } catch (error) {
    if (error instanceof URIError) return value;
    throw error;
  }
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/%2C/g, ',');
}

/**
 * The shortest spelling that reads back as the same double, which is all that the service takes from a feature. What is
 * not a finite decimal number stays as it is, for the service to refuse.
 */
function canonicalNumber(text: string): string {
  const trimmed = text.trim();
  if (!DECIMAL.test(trimmed)) return text;
  const value = Number(trimmed);
  if (!Number.isFinite(value)) return text;
  return String(value === 0 ? 0 : value);
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
