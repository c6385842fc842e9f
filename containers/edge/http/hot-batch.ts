import { LIVE_VERSION_HEADER } from '../../../lib/core/channel';
import { wireWaiter } from './deadline';
import { flat, type HotContext, latin1, OK, sendError } from './hot-answer';
import { JSON_BODY_TYPES, parseJson } from './json-body';
import { predictBatch } from './predict-batch';
import { JSON_TYPE } from './predict-one';
import { parsePredictBody } from './predict-request';
import { dateLine, fieldLines } from './wire/field-lines';
import type { WireHandler, WireReply, WireRequest } from './wire/types';

/** Answers `POST /batch_predict` in front of the router, by the function that its route uses. */
export class HotBatch implements WireHandler {
  readonly #context: HotContext;

  constructor(context: HotContext) {
    this.#context = context;
  }

  takes(request: WireRequest, reply: WireReply): boolean {
    const { head, bytes } = request;
    if (bytes.length === 0 || bytes.length > this.#context.bodyLimit) return false;
    if (!JSON_BODY_TYPES.has(head.value('content-type'))) return false;
    this.#answer(request, reply).catch((error: unknown) => sendError(this.#context, request, reply, error));
    return true;
  }

  async #answer(request: WireRequest, reply: WireReply): Promise<void> {
    const { head, arrived } = request;
    const { http } = this.#context;
    const wanted = parsePredictBody(parseJson(request.bytes.toString()));
    const waiter = () => wireWaiter(request, reply);
    const { level, headers, text } = await predictBatch(http, wanted, head.value(LIVE_VERSION_HEADER), waiter);
    const body = latin1(text);
    const fields = fieldLines(flat(headers));
    reply.send(`${OK}${fields}content-type: ${JSON_TYPE}\r\ncontent-length: ${body.length}\r\n${dateLine()}`, body);
    const seconds = (performance.now() - arrived) / 1000;
    http.metrics.observe({ status: 200, level, seconds, bytes: body.length });
  }
}
