import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LIVE_VERSION_HEADER } from '../../../lib/core/channel';
import { answerHeaders, predictionCacheControl } from './answer-headers';
import type { HttpContext } from './context';
import { requestWaiter } from './deadline';
import { predictBatch } from './predict-batch';
import { JSON_TYPE, predictOne } from './predict-one';
import { parsePredictBody, parsePredictQuery } from './predict-request';

/** `POST /predict`, `GET /predict` and `POST /batch_predict`. */
export function registerPredictRoutes(app: FastifyInstance, context: HttpContext): void {
  app.post('/predict', async (request, reply) => {
    const wanted = parsePredictBody(request.body);
    const options = requestWaiter(request, reply);
    const { answer, text } = await predictOne(context, wanted, liveVersionOf(request), options);
    request.cacheLevel = answer.tier;
    return reply.headers(answerHeaders(answer, 'no-store')).type(JSON_TYPE).send(text);
  });

  app.get('/predict', async (request, reply) => {
    const wanted = parsePredictQuery(request.query);
    const { answer, text, versionIsNamed } = await predictOne(
      context,
      wanted,
      liveVersionOf(request),
      requestWaiter(request, reply),
    );
    request.cacheLevel = answer.tier;
    const cacheControl = predictionCacheControl(answer.ttlSeconds, versionIsNamed);
    return reply.headers(answerHeaders(answer, cacheControl)).type(JSON_TYPE).send(text);
  });

  app.post('/batch_predict', async (request, reply) => {
    const wanted = parsePredictBody(request.body);
    const { level, headers, text } = await predictBatch(context, wanted, liveVersionOf(request), () =>
      requestWaiter(request, reply),
    );
    request.cacheLevel = level;
    return reply.headers(headers).type(JSON_TYPE).send(text);
  });
}

function liveVersionOf(request: FastifyRequest): string | undefined {
  const value = request.headers[LIVE_VERSION_HEADER];
  return typeof value === 'string' ? value : undefined;
}
