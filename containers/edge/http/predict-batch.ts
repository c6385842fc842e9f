import { CACHE_TAG_HEADER } from '../../../lib/core/tags';
import type { Tier, Waiter } from '../cache/types';
import { ServiceError } from '../errors';
import { parseFeatureRows } from '../inference/feature-row';
import { predictionText } from '../inference/prediction-body';
import { batchCacheStatus, isHit, serverTiming, slowestTier } from './answer-headers';
import type { HttpContext } from './context';
import { chooseFor, provenance } from './predict-one';
import type { PredictRequest } from './predict-request';

/** Rows of one batch: bounds the time that one request may hold the process. */
const MAX_BATCH_ROWS = 10_000;

/** Many predictions as `/batch_predict` answers them. */
export interface BatchPrediction {
  /** The slowest tier that had part in the answer. */
  readonly level: Tier;
  readonly headers: Readonly<Record<string, string>>;
  /** The body of the answer. */
  readonly text: string;
}

/**
 * Answers rows in their order, `liveVersion` being the value of the POP's header, `waiter` how long and by whom the
 * answer is wanted, asked once the rows are known to fit the model. Rejects with a ServiceError.
 */
export async function predictBatch(
  context: HttpContext,
  wanted: PredictRequest,
  liveVersion: string | undefined,
  waiter: () => Waiter,
): Promise<BatchPrediction> {
  const features = batchOf(wanted.features);
  const { model, release } = chooseFor(context, wanted, liveVersion);
  try {
    const rows = parseFeatureRows(model, features, 'features');
    const answers = await context.predictor.predictRows(model, rows, waiter());
    let predictions = '';
    let cached = '';
    for (const answer of answers) {
      const separator = predictions === '' ? '' : ',';
      predictions += separator + predictionText(answer.body);
      cached += `${separator}${isHit(answer)}`;
    }
    const headers = {
      'cache-status': batchCacheStatus(answers),
      'cache-control': 'no-store',
      'server-timing': serverTiming(answers),
      [CACHE_TAG_HEADER]: model.tags.join(','),
    };
    const text = `{"predictions":[${predictions}],"count":${answers.length},"cached":[${cached}],${provenance(context.region, model)}}`;
    return { level: slowestTier(answers), headers, text };
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
