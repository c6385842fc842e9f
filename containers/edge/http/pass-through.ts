import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Agent, type Dispatcher, errors } from 'undici';
import { HOP_BY_HOP_FIELDS } from '../../../lib/core/hop-by-hop';
import { messageOf, ServiceError } from '../errors';
import { BYPASSED } from './answer-headers';

const HOP_BY_HOP: ReadonlySet<string> = new Set(HOP_BY_HOP_FIELDS);

/** How long an origin may take until its headers, and between parts of its body, ms. */
const ORIGIN_TIMEOUT_MS = 25_000;

/** Paths that the service answers itself: a wrong method on one of them is an error, not the origin's business. */
const OWN_PATHS: readonly string[] = ['/predict', '/batch_predict', '/health', '/metrics'];

/** Everything that is not the service's own goes to the HTTP origin, streamed in both directions. */
export function registerPassThrough(app: FastifyInstance, originUrl: string | undefined): void {
  const agent = new Agent({ headersTimeout: ORIGIN_TIMEOUT_MS, bodyTimeout: ORIGIN_TIMEOUT_MS });
  app.addHook('onClose', () => agent.close());

  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    scope.all('/*', async (request, reply) => {
      const path = request.url.split('?')[0] ?? '';
      if (OWN_PATHS.includes(path)) {
        throw new ServiceError('method_not_allowed', `${path} does not answer ${request.method}`);
      }
      if (originUrl === undefined) throw new ServiceError('not_found', `there is no ${path} here`);
      return forward(agent, new URL(originUrl), request, reply);
    });
  });
}

async function forward(agent: Agent, origin: URL, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  // Only a path: an absolute URL in the request line must not choose another origin.
  if (!request.url.startsWith('/')) throw new ServiceError('invalid_request', 'the request target must be a path');
  const response = await ask(agent, origin, request, clientGone(reply));
  return reply
    .code(response.statusCode)
    .headers(withoutHopByHop(response.headers))
    .header('cache-status', BYPASSED)
    .send(response.body);
}

async function ask(
  agent: Agent,
  origin: URL,
  request: FastifyRequest,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  try {
    return await agent.request({
      origin: origin.origin,
      path: `${origin.pathname.replace(/\/$/, '')}${request.url}`,
      method: request.method as Dispatcher.HttpMethod,
      headers: { ...withoutHopByHop(request.headers), host: origin.host, via: via(request) },
      body: hasBody(request.headers) ? request.raw : null,
      signal,
    });
  } catch (error) {
    if (error instanceof errors.HeadersTimeoutError || error instanceof errors.ConnectTimeoutError) {
      throw new ServiceError('origin_timeout', `the origin did not answer in time: ${error.message}`, { cause: error });
    }
    throw new ServiceError('origin_unreachable', `the origin did not answer: ${messageOf(error)}`, { cause: error });
  }
}

/** Aborts when the client has gone before its answer was complete. */
function clientGone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function via(request: FastifyRequest): string {
  const before = request.headers.via;
  const own = `${request.raw.httpVersion} mlcdn-edge`;
  return before === undefined ? own : `${before}, ${own}`;
}

function withoutHopByHop(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const named = new Set(
    String(headers.connection ?? '')
      .split(',')
      .map((name) => name.trim().toLowerCase()),
  );
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !HOP_BY_HOP.has(name) && !named.has(name)) kept[name] = value;
  }
  return kept;
}
