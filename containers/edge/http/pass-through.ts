import { METHODS } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { ServiceError } from '../errors';
import { pathOf } from '../http-cache/exchange';
import type { HttpCache } from '../http-cache/http-cache';

/** Paths that the service answers itself: a wrong method on one of them is an error, not the origin's business. */
const OWN_PATHS: readonly string[] = ['/predict', '/batch_predict', '/health', '/metrics'];

/** Whether the service itself answers a request target, right or wrong, and nothing of it is ever stored. */
export function isOwnPath(target: string): boolean {
  const path = pathOf(target);
  return OWN_PATHS.includes(path) || path === '/v2' || path.startsWith('/v2/');
}

/** Everything that is not the service's own goes to the HTTP origin through the cache, streamed in both directions. */
export function registerPassThrough(app: FastifyInstance, httpCache: HttpCache | undefined): void {
  app.register(async (scope) => {
    // Whatever Node can parse is the origin's to judge; CONNECT asks for a tunnel.
    const unknown = METHODS.filter((method) => method !== 'CONNECT' && !app.supportedMethods.includes(method));
    for (const method of unknown) scope.addHttpMethod(method, { hasBody: true });
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    scope.all('/*', async (request, reply) => {
      const path = pathOf(request.url);
      if (OWN_PATHS.includes(path)) {
        throw new ServiceError('method_not_allowed', `${path} does not answer ${request.method}`);
      }
      if (httpCache === undefined) throw new ServiceError('not_found', `there is no ${path} here`);
      // The cache writes to the socket itself: statuses, reason phrases and fields as the origin sent them.
      await httpCache.handle(request.raw, reply.raw, (sent) => {
        request.sent = sent;
        reply.hijack();
      });
      return reply;
    });
  });
}
