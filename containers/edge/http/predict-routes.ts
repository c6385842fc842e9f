import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LIVE_VERSION_HEADER } from '../../../lib/core/channel';
import { CACHE_TAG_HEADER } from '../../../lib/core/tags';
import type { CacheAnswer } from '../cache/types';
import { ServiceError } from '../errors';
import { parseFeatureRow } from '../inference/feature-row';
import type { LoadedModel } from '../inference/loaded-model';
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
import { chooseModel, type ModelChoice } from './model-choice';
import { type PredictRequest, parsePredictBody, parsePredictQuery } from './predict-request';

/** Rows of one batch: bounds the time that one request may hold the process. */
const MAX_BATCH_ROWS = 10_000;

const JSON_TYPE = 'application/json; charset=utf-8';

/** `POST /predict`, `GET /predict` and `POST /batch_predict`. */
export function registerPredictRoutes(app: FastifyInstance, context: HttpContext): void {
  app.post('/predict', async (request, reply) => {
    const { answer, text } = await predictOne(context, request, parsePredictBody(request.body));
    return reply.headers(answerHeaders(answer, 'no-store')).type(JSON_TYPE).send(text);
  });

  app.get('/predict', async (request, reply) => {
    const { answer, text, versionIsNamed } = await predictOne(context, request, parsePredictQuery(request.query));
    const cacheControl = predictionCacheControl(answer, versionIsNamed);
    return reply.headers(answerHeaders(answer, cacheControl)).type(JSON_TYPE).send(text);
  });

  app.post('/batch_predict', (request, reply) => predictBatch(context, request, reply));
}

async function predictOne(
  context: HttpContext,
  request: FastifyRequest,
  wanted: PredictRequest,
): Promise<{ answer: CacheAnswer; text: string; versionIsNamed: boolean }> {
  const { model, versionIsNamed, release } = choose(context, request, wanted);
  try {
    const row = parseFeatureRow(model, wanted.features, 'features');
    const answer = await context.predictor.predict(model, [row]);
    request.cacheLevel = answer.tier;
    const prediction = predictionText(answer.body);
    const text = `{"prediction":${prediction},"cached":${isHit(answer)},${provenance(context, model)}}`;
    return { answer, text, versionIsNamed };
  } finally {
    release();
  }
}

async function predictBatch(context: HttpContext, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const wanted = parsePredictBody(request.body);
  const features = batchOf(wanted.features);
  const { model, release } = choose(context, request, wanted);
  try {
    const rows = features.map((row, i) => parseFeatureRow(model, row, `features[${i}]`));
    const answers = await context.predictor.predictRows(model, rows);
    request.cacheLevel = slowestTier(answers);
    const predictions = answers.map((answer) => predictionText(answer.body)).join(',');
    const cached = answers.map(isHit).join(',');
    const headers = {
      'cache-status': batchCacheStatus(answers),
      'cache-control': 'no-store',
      'server-timing': serverTiming(answers),
      [CACHE_TAG_HEADER]: model.tags.join(','),
    };
    const text = `{"predictions":[${predictions}],"count":${answers.length},"cached":[${cached}],${provenance(context, model)}}`;
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

function choose(context: HttpContext, request: FastifyRequest, wanted: PredictRequest): ModelChoice {
  const liveVersion = request.headers[LIVE_VERSION_HEADER];
  return chooseModel(context.repository, context.defaultModel, {
    model: wanted.model,
    version: wanted.version,
    liveVersion: typeof liveVersion === 'string' && liveVersion !== '' ? liveVersion : undefined,
  });
}

function provenance(context: HttpContext, model: LoadedModel): string {
  const fields = [context.region, model.name, model.version].map((value) => JSON.stringify(value));
  return `"edge_region":${fields[0]},"model":${fields[1]},"version":${fields[2]}`;
}
