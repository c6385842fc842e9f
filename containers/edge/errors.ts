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
  headers_too_large: 431,
  inference_failed: 500,
  internal: 500,
  origin_unreachable: 502,
  model_not_ready: 503,
  deadline_exceeded: 504,
  not_stored: 504,
  origin_timeout: 504,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

/** An error that a client may read: the message names the field, the value and what would be right. */
export class ServiceError extends Error {
  readonly status: number;

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'ServiceError';
    this.status = ERROR_STATUS[code];
  }
}

/** A 400 for a field of the request, phrased `<field> must be <expected>, got <value>`. */
export function invalidField(field: string, expected: string, got: unknown): ServiceError {
  return new ServiceError('invalid_request', `${field} must be ${expected}, got ${show(got)}`);
}

const SHOWN_CHARACTERS = 80;

/** A value as it may stand in an error message: JSON, shortened. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text;
}

/** Message of anything thrown. */
export function messageOf(error: unknown): string {
  // Not instanceof: errors of Node's own modules may come from another realm than this code (Jest, node:vm).
  return types.isNativeError(error) ? error.message : String(error);
}
