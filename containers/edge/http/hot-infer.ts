import { LIVE_VERSION_HEADER } from '../../../lib/core/channel';
import { wireWaiter } from './deadline';
import { flat, type HotContext, latin1, OK, sendError } from './hot-answer';
import { infer } from './v2/infer';
import { HEADER_LENGTH_HEADER } from './v2/request-body';
import { dateLine, fieldLines } from './wire/field-lines';
import type { WireHandler, WireReply, WireRequest } from './wire/types';

/** Names without anything to decode, which the router does. */
const INFER_PATH = /^\/v2\/models\/([^/?%;]+)(?:\/versions\/([^/?%;]+))?\/infer$/;

/** Bodies up to this are sent as text, bytes: head and body then leave in one piece, which costs less than two. */
const MAX_TEXT_BYTES = 4 * 1024;

/** Answers inference requests in front of the router, by the function that its routes use. */
export class HotInfer implements WireHandler {
  readonly #context: HotContext;

  constructor(context: HotContext) {
    this.#context = context;
  }

  takes(request: WireRequest, reply: WireReply): boolean {
    const { head, bytes } = request;
    const [, model, version] = INFER_PATH.exec(request.target) ?? [];
    if (model === undefined || bytes.length === 0 || bytes.length > this.#context.bodyLimit) return false;
    if (head.has('content-encoding')) return false;
    this.#answer(request, bytes, reply, model, version).catch((error: unknown) =>
      sendError(this.#context, request, reply, error),
    );
    return true;
  }

  async #answer(
    request: WireRequest,
    bytes: Buffer,
    reply: WireReply,
    model: string,
    version: string | undefined,
  ): Promise<void> {
    const { head, arrived } = request;
    const { http } = this.#context;
    const { answer, headers, body } = await infer(http, {
      model,
      version,
      liveVersion: head.value(LIVE_VERSION_HEADER),
      body: bytes,
      headerLength: head.value(HEADER_LENGTH_HEADER),
      acceptEncoding: head.value('accept-encoding'),
      waiter: (timeoutUs) => wireWaiter(request, reply, timeoutUs),
    });
    const sent = typeof body === 'string' ? latin1(body) : inOnePiece(body);
    let lines = OK;
    for (const part of headers) lines += fieldLines(flat(part));
    reply.send(`${lines}content-length: ${sent.length}\r\n${dateLine()}`, sent);
    const seconds = (performance.now() - arrived) / 1000;
    http.metrics.observe({ status: 200, level: answer.tier, seconds, bytes: sent.length });
  }
}

function inOnePiece(body: Buffer): string | Buffer {
  return body.length <= MAX_TEXT_BYTES ? body.toString('latin1') : body;
}
