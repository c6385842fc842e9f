import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LIVE_VERSION_HEADER } from '../../../lib/core/channel';
import { CACHE_TAG_HEADER } from '../../../lib/core/tags';
import { ServiceError } from '../errors';
import { parseFeatureRow } from '../inference/feature-row';
import { predictionText } from '../inference/prediction-body';
import {
  answerHeaders,
  batchCacheStatus,
  isHit,
  predictionCacheControl,
  serverTiming,
  slowestTier,
} from './answer-headers';
import type { HttpContext } from './context';
import { requestWaiter } from './deadline';
import { chooseFor, JSON_TYPE, predictOne, provenance } from './predict-one';
import { parsePredictBody, parsePredictQuery } from './predict-request';

/** Rows of one batch: bounds the time that one request may hold the process. */
const MAX_BATCH_ROWS = 10_000;

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

  app.post('/batch_predict', (request, reply) => predictBatch(context, request, reply));
}

async function predictBatch(context: HttpContext, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const wanted = parsePredictBody(request.body);
  const features = batchOf(wanted.features);
  const { model, release } = chooseFor(context, wanted, liveVersionOf(request));
  try {
    const rows = features.map((row, i) => parseFeatureRow(model, row, `features[${i}]`));
    const answers = await context.predictor.predictRows(model, rows, requestWaiter(request, reply));
    request.cacheLevel = slowestTier(answers);
    const predictions = answers.map((answer) => predictionText(answer.body)).join(',');
    const cached = answers.map(isHit).join(',');
    const headers = {
      'cache-status': batchCacheStatus(answers),
      'cache-control': 'no-store',
      'server-timing': serverTiming(answers),
      [CACHE_TAG_HEADER]: model.tags.join(','),
    };
    const text = `{"predictions":[${predictions}],"count":${answers.length},"cached":[${cached}],${provenance(context.region, model)}}`;
    return reply.headers(headers).type(JSON_TYPE).send(text);
  } finally {
    release();
  }
}

function batchOf(features: unknown): readonly unknown[] {
  if (!Array.isArray(features) || features.length === 0) {
    throw new ServiceError('invalid_request', 'features must have at least one row');
  }
  if (features.length > MAX_BATCH_ROWS) {
    throw new ServiceError(
      'invalid_request',
      `features must have at most ${MAX_BATCH_ROWS} rows, got ${features.length}`,
    );
  }
  return features;
}

function liveVersionOf(request: FastifyRequest): string | undefined {
  const value = request.headers[LIVE_VERSION_HEADER];
  return typeof value === 'string' ? value : undefined;
}
