import { LIVE_VERSION_HEADER } from '../../../lib/core/channel';
import type { AnswerReceiver, CacheAnswer } from '../cache/types';
import { answerLines } from './answer-headers';
import { wireWaiter } from './deadline';
import { flat, type HotContext, latin1, OK, sendError } from './hot-answer';
import { encodeReply, type InferReply, type OpenedInfer, openInfer, replyTo } from './v2/infer';
import { HEADER_LENGTH_HEADER } from './v2/request-body';
import { dateLine, fieldLines } from './wire/field-lines';
import type { WireHandler, WireReply, WireRequest } from './wire/types';

/** Names without anything to decode, which the router does. */
const INFER_PATH = /^\/v2\/models\/([^/?%;]+)(?:\/versions\/([^/?%;]+))?\/infer$/;

/** Bodies up to this are sent as text, bytes: head and body then leave in one piece, which costs less than two. */
const MAX_TEXT_BYTES = 4 * 1024;

/** Answers inference requests in front of the router, by the functions that its routes use. */
export class HotInfer implements WireHandler {
  readonly #context: HotContext;
  /** Requests of one model come one after the other. */
  #target = '';
  #names: RegExpExecArray | null = null;

  constructor(context: HotContext) {
    this.#context = context;
  }

  takes(request: WireRequest, reply: WireReply): boolean {
    const { head, bytes, target } = request;
    if (target !== this.#target) {
      this.#target = target;
      this.#names = INFER_PATH.exec(target);
    }
    const model = this.#names?.[1];
    const version = this.#names?.[2];
    if (model === undefined || bytes.length === 0 || bytes.length > this.#context.bodyLimit) return false;
    if (head.has('content-encoding')) return false;
    new InferExchange(this.#context, request, reply).answer(bytes, model, version);
    return true;
  }
}

/** One request on its way to its answer. */
class InferExchange implements AnswerReceiver {
  readonly #hot: HotContext;
  readonly #request: WireRequest;
  readonly #reply: WireReply;
  #opened: OpenedInfer | undefined;

  constructor(hot: HotContext, request: WireRequest, reply: WireReply) {
    this.#hot = hot;
    this.#request = request;
    this.#reply = reply;
  }

  answer(body: Buffer, model: string, version: string | undefined): void {
    const { head } = this.#request;
    const { http } = this.#hot;
    try {
      const opened = openInfer(http, {
        model,
        version,
        liveVersion: head.value(LIVE_VERSION_HEADER),
        body,
        headerLength: head.value(HEADER_LENGTH_HEADER),
        waiter: (timeoutUs) => wireWaiter(this.#request, this.#reply, timeoutUs),
      });
      this.#opened = opened;
      const { inputs } = opened.wanted;
      const key = http.predictor.keyOf(opened.model, inputs);
      http.predictor.deliver(opened.model, { key, inputs: () => inputs, asText: false }, this, opened.waiter);
    } catch (error) {
      this.failed(error);
    }
  }

  answered(answer: CacheAnswer): void {
    const opened = this.#opened as OpenedInfer;
    const acceptEncoding = this.#request.head.value('accept-encoding');
    try {
      const reply = replyTo(opened, answer);
      opened.release();
      if (acceptEncoding === undefined) this.#send(reply);
      else this.#encodeAndSend(reply, acceptEncoding);
    } catch (error) {
      this.failed(error);
    }
  }

  failed(reason: unknown): void {
    this.#opened?.release();
    sendError(this.#hot, this.#request, this.#reply, reason);
  }

  #encodeAndSend(reply: InferReply, acceptEncoding: string): void {
    encodeReply(reply, acceptEncoding)
      .then((encoded) => this.#send(encoded))
      .catch((error: unknown) => this.failed(error));
  }

  #send({ answer, headers, body }: InferReply): void {
    const sent = typeof body === 'string' ? latin1(body) : inOnePiece(body);
    const lines = `${OK}${answerLines(answer, 'no-store')}${linesOf(headers)}`;
    this.#reply.send(`${lines}content-length: ${sent.length}\r\n${dateLine()}`, sent);
    const seconds = (performance.now() - this.#request.arrived) / 1000;
    this.#hot.http.metrics.observe({ status: 200, level: answer.tier, seconds, bytes: sent.length });
  }
}

let lastHeaders: InferReply['headers'] = {};
let lastLines = '';

/** Answers to requests that are alike, one after the other, have the same headers. */
function linesOf(headers: InferReply['headers']): string {
  if (headers !== lastHeaders) {
    lastHeaders = headers;
    lastLines = fieldLines(flat(headers));
  }
  return lastLines;
}

function inOnePiece(body: Buffer): string | Buffer {
  return body.length <= MAX_TEXT_BYTES ? body.toString('latin1') : body;
}
