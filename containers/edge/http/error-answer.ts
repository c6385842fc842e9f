import type { FastifyError } from 'fastify';
import { messageOf, ServiceError } from '../errors';

/** An error as HTTP says it. */
export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What a client is told of anything thrown while its request was answered. */
export function asServiceError(thrown: unknown, bodyLimit: number): ServiceError {
  if (thrown instanceof ServiceError) return thrown;
  const { statusCode } = (thrown ?? {}) as Partial<FastifyError>;
  if (statusCode === 413) return new ServiceError('body_too_large', `the body must be at most ${bodyLimit} bytes`);
  if (statusCode !== undefined && statusCode < 500) {
    return new ServiceError('invalid_request', messageOf(thrown), { cause: thrown });
  }
  // What is wrong inside is for the log; a client could neither use it nor should see it.
  return new ServiceError('internal', 'the service failed; the log says why', { cause: thrown });
}

/** The answer of an error to a request for `url`: the Open Inference Protocol has a shape of its own below `/v2`. */
export function errorAnswer(error: ServiceError, url: string): ErrorAnswer {
  const { code, message, status, retryAfterSeconds } = error;
  const path = url.split('?')[0] ?? '';
  const isOpenInference = path === '/v2' || path.startsWith('/v2/');
  return {
    status,
    headers: {
      'cache-control': 'no-store',
      'content-type': 'application/json; charset=utf-8',
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
      ...(code === 'unsupported_encoding' ? { 'accept-encoding': 'gzip, deflate' } : {}),
      // What else the client may have sent behind a body that could not be read is not a request.
      ...(code === 'invalid_json' || code === 'body_too_large' ? { connection: 'close' } : {}),
    },
    body: JSON.stringify(isOpenInference ? { error: message } : { error: { code, message } }),
  };
}
