import { types } from 'node:util';

/** Every error the service answers with: its HTTP status by its code. Clients match on the code; messages may change. */
const ERROR_STATUS = {
  invalid_json: 400,
  invalid_request: 400,
  model_required: 400,
  not_found: 404,
  model_not_found: 404,
  version_not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  body_too_large: 413,
  unsupported_encoding: 415,
  headers_too_large: 431,
  /** Nobody reads this one; the status is nginx's, for logs and metrics. */
  client_closed_request: 499,
  inference_failed: 500,
  internal: 500,
  origin_unreachable: 502,
  model_not_ready: 503,
  overloaded: 503,
  deadline_exceeded: 504,
  not_stored: 504,
  origin_timeout: 504,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

interface ServiceErrorOptions extends ErrorOptions {
  /** Whole seconds after which it makes sense to try again, for `Retry-After`. */
  readonly retryAfterSeconds?: number;
}

/** An error that a client may read: the message names the field, the value and what would be right. */
export class ServiceError extends Error {
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ServiceErrorOptions,
  ) {
    super(message, options);
    this.name = 'ServiceError';
    this.status = ERROR_STATUS[code];
    this.retryAfterSeconds = options?.retryAfterSeconds ?? (code === 'model_not_ready' ? 1 : undefined);
  }
}

/** A 400 for a field of the request, phrased `<field> must be <expected>, got <value>`. */
export function invalidField(field: string, expected: string, got: unknown): ServiceError {
  return new ServiceError('invalid_request', `${field} must be ${expected}, got ${show(got)}`);
}

const SHOWN_CHARACTERS = 80;

/** A value as it may stand in an error message: JSON, shortened. Costs no more than what it shows. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = preview(value, SHOWN_CHARACTERS + 1);
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text;
}

/** JSON of a value, of which the first `room` characters are right. Every level takes one of them, so depth is bounded. */
function preview(value: unknown, room: number): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, room));
  if (typeof value !== 'object' || value === null) return String(value);
  const isArray = Array.isArray(value);
  let text = isArray ? '[' : '{';
  for (const name in value) {
    if (text.length > 1) text += ',';
    if (!isArray) text += `${preview(name, room - text.length)}:`;
    if (text.length >= room) return text;
    text += preview((value as Record<string, unknown>)[name], room - text.length);
    if (text.length >= room) return text;
  }
  return text + (isArray ? ']' : '}');
}

/** Message of anything thrown. */
export function messageOf(error: unknown): string {
  // Not instanceof: errors of Node's own modules may come from another realm than this code (Jest, node:vm).
  return types.isNativeError(error) ? error.message : String(error);
}
