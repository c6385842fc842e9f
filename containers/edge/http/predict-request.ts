import { parse as parseQueryString } from 'node:querystring';
import { invalidField, ServiceError, show } from '../errors';

/** A prediction request as it came, its fields checked but not yet compared with a model. */
export interface PredictRequest {
  readonly model: string | undefined;
  readonly version: string | undefined;
  readonly features: unknown;
}

const FIELDS: readonly string[] = ['features', 'model', 'version'];

/** Reads the query of a URL; the router uses this too, so that both read alike. */
export function readQuery(query: string): Record<string, unknown> {
  return parseQueryString(query);
}

/** Reads the body of `/predict` and `/batch_predict`. Throws a ServiceError that names the field. */
export function parsePredictBody(body: unknown): PredictRequest {
  const fields = asObject(body, 'the body');
  const unknown = Object.keys(fields).find((field) => !FIELDS.includes(field));
  if (unknown !== undefined) {
    throw new ServiceError('invalid_request', `unknown field ${show(unknown)}; allowed: ${FIELDS.join(', ')}`);
  }
  if (!Array.isArray(fields.features)) throw invalidField('features', 'an array', fields.features);
  return {
    model: optionalText(fields.model, 'model'),
    version: optionalVersion(fields.version),
    features: fields.features,
  };
}

/** Checks that a JSON value is an object and gives its fields. */
export function asObject(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidField(field, 'a JSON object', value);
  }
  return value as Record<string, unknown>;
}

/** Checks a field that is a non-empty string where it is given. */
export function optionalText(value: unknown, field: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '') throw invalidField(field, 'a non-empty string', value);
  return value;
}

function optionalVersion(value: unknown): string | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  return optionalText(value, 'version');
}

const DECIMAL = /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/;

/** Reads the query of `GET /predict`: `model`, `version` and `features`, numbers separated by commas. */
export function parsePredictQuery(query: unknown): PredictRequest {
  const fields = asObject(query, 'the query');
  for (const field of FIELDS) {
    if (Array.isArray(fields[field])) throw new ServiceError('invalid_request', `${field} must be given once`);
  }
  const { features } = fields;
  if (typeof features !== 'string' || features === '') {
    throw invalidField('features', 'numbers separated by commas', features);
  }
  return {
    model: optionalText(fields.model, 'model'),
    version: optionalText(fields.version, 'version'),
    // What is not a number is passed on as it is, so that one place words the error.
    features: features.split(',').map((item) => (DECIMAL.test(item.trim()) ? Number(item) : item)),
  };
}
