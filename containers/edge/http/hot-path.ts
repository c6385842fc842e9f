import type { FastifyBaseLogger } from 'fastify';
import type { SentPlain } from '../http-cache/plain-answers';
import type { HttpContext } from './context';
import type { HotContext } from './hot-answer';
import { HotBatch } from './hot-batch';
import { HotInfer } from './hot-infer';
import { HotPredict } from './hot-predict';
import { isOwnPath } from './pass-through';
import type { WireHandler, WireReply, WireRequest } from './wire/types';

/**
 * `/predict`, `/batch_predict`, inference by the open protocol, and what the HTTP cache has stored, in front of the
 * router, which costs more than a hit. Says what the routes say.
 */
export class HotPath implements WireHandler {
  readonly #context: HttpContext;
  readonly #predict: HotPredict;
  readonly #batch: HotBatch;
  readonly #infer: HotInfer;

  constructor(http: HttpContext, logger: FastifyBaseLogger, bodyLimit: number) {
    const hot: HotContext = { http, logger, bodyLimit };
    this.#context = http;
    this.#predict = new HotPredict(hot);
    this.#batch = new HotBatch(hot);
    this.#infer = new HotInfer(hot);
  }

  takes(request: WireRequest, reply: WireReply): boolean {
    const { method, target, head, body } = request;
    // What a field in several lines means, and what is wrong without a Host, the router's side knows.
    if (head.repeats || !head.has('host')) return false;
    if (method === 'POST') {
      if (target === '/predict') return this.#predict.takesPost(request, reply);
      return (target === '/batch_predict' ? this.#batch : this.#infer).takes(request, reply);
    }
    if (method !== 'GET' || body !== '') return false;
    return target.startsWith('/predict?') ? this.#predict.takesGet(request, reply) : this.#takesStored(request, reply);
  }

  #takesStored(request: WireRequest, reply: WireReply): boolean {
    const plain = this.#context.httpCache?.plain;
    if (plain === undefined || isOwnPath(request.target)) return false;
    const sent = plain.fromMemory(request, reply);
    if (sent === undefined) return plain.takes(request, reply, (later) => this.#observe(request, later));
    this.#observe(request, sent);
    return true;
  }

  #observe({ arrived }: WireRequest, { status, bytes, level }: SentPlain): void {
    this.#context.metrics.observe({ status, bytes, level, seconds: (performance.now() - arrived) / 1000 });
  }
}
