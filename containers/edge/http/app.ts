import fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import type { ServiceError } from '../errors';
import type { HttpContext } from './context';
import { asServiceError, errorAnswer } from './error-answer';
import { HotPath } from './hot-path';
import { createHttpServer, refuseUnreadable } from './http-server';
import { parseJson } from './json-body';
import { HTTP_LIMITS, type HttpLimits } from './limits';
import { registerOpenInferenceRoutes } from './open-inference-routes';
import { registerOperationsRoutes } from './operations-routes';
import { registerPassThrough } from './pass-through';
import { readQuery } from './predict-request';
import { registerPredictRoutes } from './predict-routes';
import type { WireFront } from './wire/wire-front';

/** Paths whose requests are probes, not traffic. */
const PROBES: readonly string[] = ['/health', '/metrics'];

/** Builds the HTTP service; the caller makes it listen. */
export function createApp(
  context: HttpContext,
  logger: FastifyBaseLogger,
  limits: HttpLimits = HTTP_LIMITS,
): FastifyInstance {
  const hotPath = new HotPath(context, logger, limits.bodyBytes);
  let front: WireFront | undefined;
  const app = fastify({
    loggerInstance: logger,
    // Metrics count every request; a log line for each would cost more than many predictions.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.bodyBytes,
    serverFactory: (router) => {
      const created = createHttpServer(router, hotPath, limits);
      front = created.front;
      return created.server;
    },
    clientErrorHandler: (error, socket) => refuseUnreadable(error, socket, limits),
    // What fails before a route is found, such as a path with a broken escape, is no concern of the error handler below.
    frameworkErrors: (error, request, reply) => answerError(error, request, reply, limits.bodyBytes),
    forceCloseConnections: 'idle',
    // What still arrives on an open connection while the service stops is answered, and the connection closed behind it.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 256, querystringParser: readQuery },
  });
  app.addHook('preClose', async () => front?.stop());
  app.decorateRequest('cacheLevel', 'none');
  app.decorateRequest('sent', undefined);
  observeRequests(app, context);
  answerErrors(app, limits.bodyBytes);
  app.register(async (scope) => {
    acceptJson(scope);
    registerPredictRoutes(scope, context);
  });
  app.register(async (scope) => registerOpenInferenceRoutes(scope, context));
  registerOperationsRoutes(app, context);
  registerPassThrough(app, context.httpCache);
  return app;
}

function observeRequests(app: FastifyInstance, context: HttpContext): void {
  app.addHook('onResponse', async (request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    if (PROBES.includes(path)) return;
    const { level, bytes } = request.sent ?? {
      level: request.cacheLevel,
      bytes: Number(reply.getHeader('content-length') ?? 0),
    };
    const seconds = reply.elapsedTime / 1000;
    context.metrics.observe({ status: reply.statusCode, level, seconds, bytes });
  });
}

/** Reads every body as JSON whatever its declared type: `curl -d` declares a form. */
function acceptJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, parseJson(String(body)));
    } catch (error) {
      done(error as Error);
    }
  });
}

function answerErrors(app: FastifyInstance, bodyLimit: number): void {
  app.setErrorHandler((thrown: FastifyError | ServiceError, request, reply) =>
    answerError(thrown, request, reply, bodyLimit),
  );
}

function answerError(
  thrown: FastifyError | ServiceError,
  request: FastifyRequest,
  reply: FastifyReply,
  bodyLimit: number,
): FastifyReply {
  const error = asServiceError(thrown, bodyLimit);
  if (error.status >= 500) request.log.error({ err: thrown, url: request.url }, error.message);
  const { status, headers, body } = errorAnswer(error, request.url);
  return reply.code(status).headers(headers).send(body);
}
