import type { FastifyInstance } from 'fastify';
import type { HttpContext } from './context';

/** `GET /health` for load balancers and people, `GET /metrics` for Prometheus. */
export function registerOperationsRoutes(app: FastifyInstance, context: HttpContext): void {
  app.get('/health', async (_request, reply) => {
    const { region, repository } = context;
    const reason = context.unavailableReason();
    reply.header('cache-control', 'no-store');
    if (reason !== undefined) return reply.code(503).send({ status: 'unavailable', reason, region });
    const models = Object.fromEntries(repository.names().map((name) => [name, repository.live(name)?.version]));
    const load = context.load?.();
    return { status: 'ok', region, models, ...(load === undefined ? {} : { load: Math.round(load * 1_000) / 1_000 }) };
  });

  app.get('/metrics', async (_request, reply) => {
    const { registry } = context.metrics;
    return reply
      .header('cache-control', 'no-store')
      .type(registry.contentType)
      .send(await registry.metrics());
  });
}
