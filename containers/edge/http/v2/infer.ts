import type { CacheAnswer, Waiter } from '../../cache/types';
import { ServiceError } from '../../errors';
import type { LoadedModel } from '../../inference/loaded-model';
import type { HttpContext } from '../context';
import { type InferRequest, readInferRequest } from '../infer-request';
import { chooseModel, type ModelChoice } from '../model-choice';
import { writeInferAnswer } from './infer-answer';
import { encodeBody, encodingFor } from './response-encoding';

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
  /** Value of the request header that says where the JSON ends. */
  readonly headerLength: string | string[] | undefined;
  /** How long and by whom the answer is wanted, given the `timeout` of the request, microseconds. */
  waiter(timeoutUs: number | undefined): Waiter;
}

/** An inference response as HTTP carries it. */
export interface InferReply {
  readonly answer: CacheAnswer;
  /** Those of the body, beside what `answer` says of the cache; the same object for answers that are alike. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** An inference request that fits its model, which is leased to it. */
export interface OpenedInfer {
  readonly model: LoadedModel;
  readonly wanted: InferRequest;
  readonly waiter: Waiter;
  /** Ends the lease; to be called when the answer is written, or will not be. */
  readonly release: () => void;
}

/** Answers one inference request, encoded as its client likes. Rejects with a ServiceError. */
export async function infer(
  context: HttpContext,
  call: InferCall,
  acceptEncoding: string | undefined,
): Promise<InferReply> {
  const opened = openInfer(context, call);
  try {
    const answer = await context.predictor.predict(opened.model, opened.wanted.inputs, opened.waiter);
    return await encodeReply(replyTo(opened, answer), acceptEncoding);
  } finally {
    opened.release();
  }
}

/** Reads an inference request. Throws a ServiceError. */
export function openInfer(context: HttpContext, call: InferCall): OpenedInfer {
  const { model, release } = chooseNamed(context, call);
  try {
    const wanted = readInferRequest(call.body, call.headerLength, model);
    return { model, wanted, waiter: call.waiter(wanted.timeoutUs), release };
  } catch (error) {
    release();
    throw error;
  }
}

/** Writes the answer to a request, not compressed. */
export function replyTo({ model, wanted }: OpenedInfer, answer: CacheAnswer): InferReply {
  return { answer, ...writeInferAnswer(model, wanted, answer.body) };
}

/** Compresses a reply where `Accept-Encoding` asks for it and it is worth it. */
export async function encodeReply(reply: InferReply, acceptEncoding: string | undefined): Promise<InferReply> {
  const encoding = encodingFor(reply.body, acceptEncoding);
  if (encoding === undefined) return reply;
  const body = await encodeBody(reply.body, encoding);
  return { ...reply, headers: { ...reply.headers, 'content-encoding': encoding }, body };
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
