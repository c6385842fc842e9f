import type { CacheAnswer, Waiter } from '../../cache/types';
import { ServiceError } from '../../errors';
import { answerHeaders } from '../answer-headers';
import type { HttpContext } from '../context';
import { parseInferRequest } from '../infer-request';
import { chooseModel, type ModelChoice } from '../model-choice';
import { writeInferAnswer } from './infer-answer';
import { splitBody } from './request-body';
import { encodeBody } from './response-encoding';

/** The model that a path names, and what the POP says of it. */
export interface NamedModel {
  readonly model: string;
  readonly version: string | undefined;
  /** Value of the POP's live-version header. */
  readonly liveVersion: string | undefined;
}

/** An inference request as it came over HTTP, its body decoded. */
export interface InferCall extends NamedModel {
  readonly body: Buffer;
  /** Values of request headers. */
  readonly headerLength: string | string[] | undefined;
  readonly acceptEncoding: string | undefined;
  /** How long and by whom the answer is wanted, given the `timeout` of the request, microseconds. */
  waiter(timeoutUs: number | undefined): Waiter;
}

/** An inference response as HTTP carries it. */
export interface InferReply {
  readonly answer: CacheAnswer;
  /** In parts, no name in more than one: joining them would cost more than writing them. */
  readonly headers: readonly Readonly<Record<string, string>>[];
  readonly body: string | Buffer;
}

/** Answers one inference request. Rejects with a ServiceError. */
export async function infer(context: HttpContext, call: InferCall): Promise<InferReply> {
  const { model, release } = chooseNamed(context, call);
  try {
    const wanted = parseInferRequest(splitBody(call.body, call.headerLength), model);
    const answer = await context.predictor.predict(model, wanted.inputs, call.waiter(wanted.timeoutUs));
    const written = writeInferAnswer(model, wanted, answer.body);
    const encoded = await encodeBody(written.body, call.acceptEncoding);
    const headers = [answerHeaders(answer, 'no-store'), written.headers, encoded.headers];
    return { answer, headers, body: encoded.body };
  } finally {
    release();
  }
}

/** Finds and leases the model that a path below `/v2/models` names. Throws a ServiceError. */
export function chooseNamed(context: HttpContext, named: NamedModel): ModelChoice {
  try {
    return chooseModel(context.repository, undefined, named);
  } catch (error) {
    if (!(error instanceof ServiceError) || error.status !== 404) throw error;
    // Triton's words: programs written for its clients look for them.
    throw new ServiceError(error.code, `Request for unknown model: ${error.message}`);
  }
}
