import type { IncomingMessage, ServerResponse } from 'node:http';
import { type RoutePolicy, routeMatcher } from '../../../lib/core/cache-policy';
import type { BodyStore } from '../cache/body-store';
import type { EdgeCache, FillTicket } from '../cache/types';
import { ServiceError } from '../errors';
import { notesOf } from '../http/wire/routed-stream';
import { type Answer, releaseBody, type Sent, sendAnswer } from './answer';
import type { Directives } from './cache-control';
import { forwardStatus, hitStatus } from './cache-status';
import { CONDITIONAL_FIELDS } from './conditional';
import { type Exchange, openExchange } from './exchange';
import type { Fields } from './fields';
import { type Arrival, type FillContext, type FillRequest, fillFromOrigin, openStored, stored } from './fill';
import { Forwarder, hasBody } from './forward';
import { endToEnd, type OriginClient, viaField } from './origin-client';
import { partAnswer } from './part';
import { PlainAnswers } from './plain-answers';
import { RecentKeys } from './recent-keys';
import { judge, mayAnswerInstead } from './reuse';
import { LookedUp, lookUp, type Selected, type Selection, select } from './selection';
import { ageOf } from './stored-response';
import type { Transfers } from './transfers';
import { variantListKeptForMs } from './variant-list';

/** What the HTTP cache is made of. */
export interface HttpCacheParts {
  readonly cache: EdgeCache;
  /** Keeps large bodies; without it they are passed on. */
  readonly bodies: BodyStore | undefined;
  readonly origin: OriginClient;
  readonly policies: readonly RoutePolicy[];
  /** Told of the bodies on their way to clients. */
  readonly transfers?: Transfers;
  /** Wall-clock time, ms since 1970. */
  readonly clock?: () => number;
}

const NO_DIRECTIVES: Directives = new Map();
/** How long a key whose response could not be shared is remembered, ms. */
const UNSHARED_MS = 60_000;

interface Flight {
  readonly ticket: FillTicket;
  readonly leader: Fields;
  readonly arrival: Promise<Arrival>;
}

/** A shared HTTP cache in front of one origin, by RFC 9111, over the tiers of the edge cache. */
export class HttpCache {
  readonly #cache: EdgeCache;
  /** Answers plain requests by what is stored; `handle` everything else. */
  readonly plain: PlainAnswers;
  readonly #context: FillContext;
  readonly #forwarder: Forwarder;
  readonly #clock: () => number;
  readonly #policyOf: (path: string) => RoutePolicy | undefined;
  readonly #transfers: Transfers | undefined;
  readonly #flights = new Map<string, Flight>();
  /** Keys whose responses were nobody else's: waiting for one another would only make their requests slow. */
  readonly #unshared: RecentKeys<true>;
  /** Keys whose origin did not answer just now, with the error; by the route's negative caching only. */
  readonly #failures: RecentKeys<ServiceError>;

  constructor({ cache, bodies, origin, policies, transfers, clock = Date.now }: HttpCacheParts) {
    this.#cache = cache;
    this.#context = { origin, bodies, clock };
    this.#clock = clock;
    this.#policyOf = routeMatcher(policies);
    this.#transfers = transfers;
    this.plain = new PlainAnswers(cache, this.#policyOf, clock);
    this.#unshared = new RecentKeys(clock);
    this.#failures = new RecentKeys(clock);
    this.#forwarder = new Forwarder(cache, this.#context);
  }

  /**
   * Answers a request from the cache or the origin. Rejects with a ServiceError, before anything has been sent, when
   * neither can answer. `onAnswer` is called just before it writes to `response`.
   */
  async handle(request: IncomingMessage, response: ServerResponse, onAnswer: (sent: Sent) => void): Promise<void> {
    const exchange = openExchange(request, response, this.#policyOf, onAnswer, this.#transfers);
    const { directives, policy } = exchange;
    if (request.method !== 'GET' && request.method !== 'HEAD') return this.#forwarder.passMethod(exchange);
    // A body may change the answer to a GET, and is no part of the key.
    if (policy?.cache === false || directives.has('no-store') || hasBody(request.headers))
      return this.#forwarder.pass(exchange, 'bypass');

    const notes = notesOf(request);
    const isLookedUp = notes instanceof LookedUp;
    const { ticket, selection } = isLookedUp ? notes : await this.#lookUp(exchange);
    const { selected } = selection;
    const verdict = selected && judge(selected.head, directives, this.#clock());
    if (selected && (verdict === 'reuse' || verdict === 'reuse-and-refresh')) {
      if (verdict === 'reuse-and-refresh') this.#refresh(exchange, selection, ticket);
      if (await this.#answerStored(exchange, selected, verdict === 'reuse' ? undefined : 'revalidating')) return;
    }
    this.#cache.recordMiss();
    if (directives.has('only-if-cached')) {
      throw new ServiceError('not_stored', 'only-if-cached: there is no stored response to this request');
    }
    if (request.method === 'HEAD') return this.#forwarder.passHead(exchange, selected, ticket);
    if ((!selected || selected.head.part) && request.headers.range !== undefined)
      return this.#forwarder.passRange(exchange, ticket);
    // Fresh, but not for this client.
    const isFresh = selected && judge(selected.head, NO_DIRECTIVES, this.#clock()) === 'reuse';
    return this.#fetch(exchange, isFresh ? { ...selection, missReason: 'request' } : selection, ticket);
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#flights.values()].map(({ arrival }) => arrival));
    await this.#context.origin.close();
  }

  /** False when its body cannot be had any more, or it is a part that the request does not ask for. */
  async #answerStored(
    exchange: Exchange,
    { head, inlineBody, tier }: Selected,
    stale?: 'revalidating' | 'error',
  ): Promise<boolean> {
    const now = this.#clock();
    const cacheStatus = hitStatus(head, tier, now, stale);
    const ageSeconds = Math.floor(ageOf(head, now));
    if (head.part) {
      const answer = partAnswer(exchange.request, head, inlineBody, { cacheStatus, ageSeconds, level: tier });
      if (!answer) return false;
      this.#cache.recordHit(tier, stale);
      await sendAnswer(exchange, answer);
      return true;
    }
    const body = await openStored(this.#context.bodies, head, inlineBody);
    if (!body) return false;
    this.#cache.recordHit(tier, stale);
    const answer: Answer = { ...head, body, ageSeconds, cacheStatus, level: tier, evaluates: true };
    await sendAnswer(exchange, answer);
    return true;
  }

  /** Answers from the origin, sharing its response with everybody who asks for the same meanwhile. */
  async #fetch(exchange: Exchange, selection: Selection, ticket: FillTicket): Promise<void> {
    const { flightKey, selected } = selection;
    const running = this.#unshared.get(flightKey) ? undefined : this.#flights.get(flightKey);
    try {
      const failure = this.#failures.get(flightKey);
      if (failure) throw failure;
      if (running?.ticket.isCurrent()) {
        const arrival = await running.arrival;
        if (await this.#answerArrival(exchange, selection, arrival, running.leader)) return;
        if (arrival.kind === 'private') this.#unshared.set(flightKey, true, UNSHARED_MS);
      }
      const own = this.#fill(exchange, selection, ticket);
      const arrival = await own.arrival;
      if (await this.#answerArrival(exchange, selection, arrival)) return;
      // What the origin confirmed has gone from the disk meanwhile: it has to be sent again.
      const anew = selected && (await this.#fill(exchange, { ...selection, selected: undefined }, ticket).arrival);
      if (anew && (await this.#answerArrival(exchange, selection, anew))) return;
      throw new ServiceError('origin_unreachable', 'the origin broke off its answer');
    } catch (error) {
      const isOriginAway = error instanceof ServiceError && error.status >= 500;
      const { negativeTtlSeconds = 0 } = exchange.policy ?? {};
      if (isOriginAway && negativeTtlSeconds > 0 && !this.#failures.get(flightKey)) {
        this.#failures.set(flightKey, error, negativeTtlSeconds * 1000);
      }
      const mayServe = isOriginAway && selected && mayAnswerInstead(selected.head, this.#clock());
      if (!mayServe || exchange.response.headersSent) throw error;
      if (!(await this.#answerStored(exchange, selected, 'error'))) throw error;
    }
  }

  /** Sends what arrived; false when this request may not have it, or cannot any more. */
  async #answerArrival(
    exchange: Exchange,
    { selected, missReason }: Selection,
    arrival: Arrival,
    leader?: Fields,
  ): Promise<boolean> {
    const { request } = exchange;
    const collapsed = leader !== undefined;
    if (arrival.kind === 'origin-error') {
      const mayServe = selected && mayAnswerInstead(selected.head, this.#clock());
      return mayServe === true && (await this.#answerStored(exchange, selected, 'error'));
    }
    if (arrival.kind === 'private') {
      if (collapsed) return false;
      await this.#forwarder.send(exchange, arrival.response, missReason);
      return true;
    }
    const isSame = !leader || arrival.variantOf(leader) === arrival.variantOf(request.headers);
    if (collapsed && !(arrival.shareable && isSame)) return false;
    const body = await arrival.open();
    if (!body) return false;
    const { head, originStatus } = arrival;
    const age = Math.floor(ageOf(head, this.#clock()));
    const cacheStatus = forwardStatus(missReason, originStatus, { stored: true, collapsed });
    // To whom the origin answers, its own `Age` still holds.
    const ageSeconds = collapsed || (age > 0 && head.headers.age === undefined) ? age : undefined;
    await sendAnswer(exchange, { ...head, body, cacheStatus, ageSeconds, level: 'origin', evaluates: true });
    return true;
  }

  /** Asks the origin, on behalf of everybody who joins until the response is stored. */
  #fill(exchange: Exchange, { selected, flightKey }: Selection, ticket: FillTicket, inBackground = false): Flight {
    const { request, response, target, policy, key } = exchange;
    const headers = { ...withoutConditions(endToEnd(request.headers)), via: viaField(request) };
    const onInterim = (status: number, fields: Fields) => sendInterim(response, status, fields);
    const arrival = this.#arrive(exchange, {
      target,
      headers,
      authorized: request.headers.authorization !== undefined,
      policy,
      candidate: selected?.head.part ? undefined : selected,
      ticket,
      variantListKeptForMs: () => variantListKeptForMs(this.#cache, key, this.#clock),
      ...(inBackground ? {} : { onInterim }),
    });
    const flight: Flight = { ticket, leader: request.headers, arrival };
    this.#flights.set(flightKey, flight);
    const leave = () => {
      if (this.#flights.get(flightKey) === flight) this.#flights.delete(flightKey);
    };
    arrival.then((arrived) => (arrived.kind === 'stored' ? arrived.done.finally(leave) : leave()), leave);
    return flight;
  }

  #lookUp({ key, request }: Exchange): Promise<LookedUp> {
    return new Promise((resolve) => lookUp(this.#cache, key, request.headers, resolve));
  }

  /** The origin's answer, or that of another task of the region which is asking it already. */
  async #arrive(exchange: Exchange, request: FillRequest): Promise<Arrival> {
    const { key, policy } = exchange;
    if (policy?.oncePerRegion !== true) return fillFromOrigin(this.#context, request);
    if (await this.#cache.joinRegionalFill(key)) {
      const { selected } = await new Promise<Selection>((resolve) =>
        select(this.#cache, key, exchange.request.headers, resolve),
      );
      if (selected && !selected.head.part && judge(selected.head, exchange.directives, this.#clock()) === 'reuse') {
        const { head, inlineBody } = selected;
        const open = () => openStored(this.#context.bodies, head, inlineBody);
        return stored(this.#context, request, head.status, head, open, Promise.resolve());
      }
    }
    const giveLeaseBack = () => this.#cache.abandonRegionalFill(key);
    try {
      const arrival = await fillFromOrigin(this.#context, request);
      if (arrival.kind === 'stored') void arrival.done.then(giveLeaseBack);
      else giveLeaseBack();
      return arrival;
    } catch (error) {
      giveLeaseBack();
      throw error;
    }
  }

  /** Refreshes a stale response behind the client's back; once at a time. */
  #refresh(exchange: Exchange, selection: Selection, ticket: FillTicket): void {
    if (this.#flights.get(selection.flightKey)?.ticket.isCurrent()) return;
    this.#fill(exchange, selection, ticket, true).arrival.then(
      async (arrived) => {
        if (arrived.kind === 'private') await arrived.response.body.dump();
        // Nobody reads what this fill brings, so nothing must wait for a reader.
        const body = arrived.kind === 'stored' ? await arrived.open() : undefined;
        if (body) releaseBody(body);
      },
      () => undefined,
    );
  }
}

function withoutConditions(headers: Fields): Fields {
  const { range: _range, ...rest } = headers;
  const kept: Record<string, string | readonly string[] | undefined> = rest;
  for (const name of CONDITIONAL_FIELDS) delete kept[name];
  return kept;
}

function sendInterim(response: ServerResponse, status: number, headers: Fields): void {
  if (response.headersSent || response.destroyed) return;
  if (status === 102) response.writeProcessing();
  if (status === 103) response.writeEarlyHints(Object.fromEntries(Object.entries(headers)) as Record<string, string>);
}
