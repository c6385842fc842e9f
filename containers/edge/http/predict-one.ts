import type { CacheAnswer, Waiter } from '../cache/types';
import { parseFeatureRow } from '../inference/feature-row';
import type { LoadedModel } from '../inference/loaded-model';
import { predictionText } from '../inference/prediction-body';
import { isHit } from './answer-headers';
import type { HttpContext } from './context';
import { chooseModel, type ModelChoice } from './model-choice';
import type { PredictRequest } from './predict-request';

export const JSON_TYPE = 'application/json; charset=utf-8';

/** One prediction as `/predict` answers it. */
export interface Prediction {
  readonly answer: CacheAnswer;
  /** The body of the answer. */
  readonly text: string;
  readonly versionIsNamed: boolean;
}

/**
 * Answers one row, `liveVersion` being the value of the POP's header, `waiter` how long and by whom the answer is
 * wanted. Rejects with a ServiceError.
 */
export async function predictOne(
  context: HttpContext,
  wanted: PredictRequest,
  liveVersion: string | undefined,
  waiter?: Waiter,
): Promise<Prediction> {
  const { model, versionIsNamed, release } = chooseFor(context, wanted, liveVersion);
  try {
    const row = parseFeatureRow(model, wanted.features, 'features');
    const answer = await context.predictor.predict(model, [row], waiter, true);
    const text = predictionBody(context.region, model, answer.body, isHit(answer));
    return { answer, text, versionIsNamed };
  } finally {
    release();
  }
}

/** Finds and leases the model of a prediction request. Throws a ServiceError. */
export function chooseFor(context: HttpContext, wanted: PredictRequest, liveVersion: string | undefined): ModelChoice {
  return chooseModel(context.repository, context.defaultModel, {
    model: wanted.model,
    version: wanted.version,
    liveVersion: liveVersion === '' ? undefined : liveVersion,
  });
}

/** The JSON of one prediction; `body` is as the cache keeps it. */
export function predictionBody(region: string, model: LoadedModel, body: Buffer, cached: boolean): string {
  return `{"prediction":${predictionText(body)},"cached":${cached},${provenance(region, model)}}`;
}

/** What `provenance` has said of a model. */
const provenances = new WeakMap<LoadedModel, { readonly region: string; readonly text: string }>();

/** The fields that say who answered. */
export function provenance(region: string, model: LoadedModel): string {
  const said = provenances.get(model);
  if (said?.region === region) return said.text;
  const fields = [region, model.name, model.version].map((value) => JSON.stringify(value));
  const text = `"edge_region":${fields[0]},"model":${fields[1]},"version":${fields[2]}`;
  provenances.set(model, { region, text });
  return text;
}
