import fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  LogController,
} from 'fastify';
import { messageOf, ServiceError } from '../errors';
import type { HttpContext } from './context';
import { registerOpenInferenceRoutes } from './open-inference-routes';
import { registerOperationsRoutes } from './operations-routes';
import { registerPassThrough } from './pass-through';
import { registerPredictRoutes } from './predict-routes';

/** Largest request body, bytes. */
const BODY_LIMIT_BYTES = 8 * 1024 * 1024;
/** Longest time a client may take to send its request, ms. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Longer than the load balancer's 60 s idle time, or it would send requests into connections that just closed, ms. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

/** Paths whose requests are probes, not traffic. */
const PROBES: readonly string[] = ['/health', '/metrics'];

/** Builds the HTTP service; the caller makes it listen. */
export function createApp(context: HttpContext, logger: FastifyBaseLogger): FastifyInstance {
  const app = fastify({
    loggerInstance: logger,
    // Metrics count every request; a log line for each would cost more than many predictions.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 256 },
  });
  app.decorateRequest('cacheLevel', 'none');
  observeRequests(app, context);
  answerErrors(app);
  app.register(async (scope) => {
    acceptJson(scope);
    registerPredictRoutes(scope, context);
    registerOpenInferenceRoutes(scope, context);
  });
  registerOperationsRoutes(app, context);
  registerPassThrough(app, context.originUrl);
  return app;
}

function observeRequests(app: FastifyInstance, context: HttpContext): void {
  app.addHook('onResponse', async (request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    if (PROBES.includes(path)) return;
    const seconds = reply.elapsedTime / 1000;
    context.metrics.observe({ status: reply.statusCode, level: request.cacheLevel, seconds });
  });
}

/** Reads every body as JSON whatever its declared type: `curl -d` declares a form. */
function acceptJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, JSON.parse(String(body)));
    } catch (error) {
      done(new ServiceError('invalid_json', `the body must be JSON: ${messageOf(error)}`));
    }
  });
}

function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler((thrown: FastifyError | ServiceError, request, reply) => {
    const error = asServiceError(thrown);
    if (error.status >= 500) request.log.error({ err: thrown, url: request.url }, error.message);
    return sendError(error, request.url, reply);
  });
}

function asServiceError(error: FastifyError | ServiceError): ServiceError {
  if (error instanceof ServiceError) return error;
  if (error.statusCode === 413) {
    return new ServiceError('body_too_large', `the body must be at most ${BODY_LIMIT_BYTES} bytes`);
  }
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return new ServiceError('invalid_request', error.message, { cause: error });
  }
  // What is wrong inside is for the log; a client could neither use it nor should see it.
  return new ServiceError('internal', 'the service failed; the log says why', { cause: error });
}

function sendError(error: ServiceError, url: string, reply: FastifyReply): FastifyReply {
  const path = url.split('?')[0] ?? '';
  const isOpenInference = path === '/v2' || path.startsWith('/v2/');
  const { code, message, status } = error;
  if (code === 'model_not_ready') reply.header('retry-after', '1');
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .send(isOpenInference ? { error: message } : { error: { code, message } });
}
