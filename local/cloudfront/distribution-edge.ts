import type { IncomingMessage } from 'node:http';
import type { Pop } from '../geo/pops';
import type { ViewerPlace } from '../geo/viewer-places';
import { cacheKey, type EdgeRequest } from './cache-key';
import type { Clock } from './clock';
import { type Behavior, behaviorFor, type Distribution } from './distribution';
import { EdgeFunctionError } from './edge-function';
import { errorPage } from './error-page';
import { functionResult, viewerRequestEvent } from './function-event';
import { type Headers, headerValue } from './headers';
import { InvalidationHistory, InvalidationLog, type InvalidationTargets, invalidates } from './invalidations';
import { type OriginChoice, originsOf } from './origin-choice';
import type { OriginClient } from './origin-client';
import { forwardsCookies, originRequest } from './origin-request';
import { PopCache } from './pop-cache';
import { type PopAnswer, PopEdge } from './pop-edge';
import { applyResponseHeaders } from './response-headers';
import { rawQueryString, ViewerError, withGeneratedHeaders } from './viewer-request';

/** A viewer's request with where it came from and where it arrived. */
export interface Arrival {
  readonly message: IncomingMessage;
  readonly request: EdgeRequest;
  readonly requestId: string;
  readonly viewerIp: string;
  readonly place: ViewerPlace;
  readonly pop: Pop;
}

/** What goes back to the viewer but for the fields that every answer of CloudFront has. */
export interface EdgeAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: AsyncIterable<Buffer>;
  /** First word of `X-Cache`. */
  readonly result: string;
  readonly length: number | undefined;
  readonly wideAreaMs: number;
  /** The request as the function left it, whose conditions hold for the answer. */
  readonly request: EdgeRequest;
}

export interface DistributionEdgeOptions {
  readonly client: OriginClient;
  readonly clock: Clock;
  readonly popBytes: number;
  readonly countOriginBytes: (pop: Pop, bytes: number) => void;
}

/** A distribution at work in all POPs. */
export class DistributionEdge {
  readonly invalidations: InvalidationHistory;
  private readonly log = new InvalidationLog();
  private readonly pops = new Map<string, { readonly cache: PopCache; readonly edge: PopEdge }>();

  constructor(
    readonly distribution: Distribution,
    private readonly options: DistributionEdgeOptions,
  ) {
    this.invalidations = new InvalidationHistory(options.clock.now, (targets) => this.invalidate(targets));
  }

  /** Whether a request's `Host` names this distribution. */
  answersTo(host: string): boolean {
    const { domainName, config } = this.distribution;
    return [domainName, ...config.Aliases].some((name) => name.toLowerCase() === host.toLowerCase());
  }

  /**
   * Answers a request.
   *
   * @throws ViewerError for what the distribution refuses.
   */
  async answer(arrival: Arrival): Promise<EdgeAnswer> {
    const behavior = this.admit(arrival);
    const answer = await this.answerUnder(behavior, arrival);
    const headers: Headers = new Map(answer.headers);
    if (!forwardsCookies(behavior) && answer.result !== 'FunctionGeneratedResponse') headers.delete('set-cookie');
    const origin = headerValue(arrival.request.headers, 'origin');
    if (behavior.responseHeadersPolicy) applyResponseHeaders(behavior.responseHeadersPolicy, headers, origin);
    return { ...answer, headers };
  }

  private admit({ request, place }: Arrival): Behavior {
    const { config } = this.distribution;
    if (!config.Enabled) throw new ViewerError(403, 'the distribution is disabled');
    const geo = config.Restrictions?.GeoRestriction;
    const listed = place.countryCode !== undefined && geo?.Locations.includes(place.countryCode) === true;
    if ((geo?.RestrictionType === 'whitelist' && !listed) || (geo?.RestrictionType === 'blacklist' && listed)) {
      throw new ViewerError(
        403,
        `the distribution is configured to block access from ${place.countryCode ?? 'your country'}`,
      );
    }
    const behavior = behaviorFor(this.distribution, request.uri);
    if (!behavior.config.AllowedMethods.includes(request.method)) {
      throw new ViewerError(
        403,
        `${request.method} is not allowed for ${request.uri}; ${behavior.config.AllowedMethods.join(', ')} are`,
      );
    }
    return behavior;
  }

  private async answerUnder(behavior: Behavior, arrival: Arrival): Promise<EdgeAnswer> {
    const viewer = {
      address: arrival.viewerIp,
      port: arrival.message.socket.remotePort ?? 0,
      place: arrival.place,
      httpVersion: arrival.message.httpVersion,
    };
    let request = withGeneratedHeaders(arrival.request, behavior, viewer);
    let choice: OriginChoice | undefined;
    if (behavior.viewerRequest) {
      try {
        const outcome = this.runFunction(behavior.viewerRequest, request, arrival);
        if ('response' in outcome) return outcome.response;
        ({ request, choice } = outcome);
      } catch (error) {
        if (!(error instanceof EdgeFunctionError)) throw error;
        const status = error.kind === 'FunctionExecutionError' ? 503 : 502;
        return { ...errorPage(status, error.message), result: error.kind, length: undefined, wideAreaMs: 0, request };
      }
    }
    const { DefaultRootObject: root } = this.distribution.config;
    if (request.uri === '/' && root !== '') request = { ...request, uri: `/${root}` };
    const answer = await this.ask(behavior, request, choice, arrival);
    return { ...(await this.withErrorPage(answer, arrival)), request };
  }

  private runFunction(
    edgeFunction: NonNullable<Behavior['viewerRequest']>,
    request: EdgeRequest,
    arrival: Arrival,
  ): { response: EdgeAnswer } | { request: EdgeRequest; choice: OriginChoice | undefined } {
    const event = viewerRequestEvent(this.distribution, request, arrival.viewerIp, arrival.requestId);
    const location = { name: arrival.pop.code, serverIp: '127.0.0.1', region: arrival.pop.nearestRegion };
    const run = edgeFunction.invoke(event, location, rawQueryString(arrival.message));
    const result = functionResult(run.returned, request);
    if (!('status' in result)) return { request: result, choice: run.origins };
    const { status, headers, body } = result;
    return {
      response: {
        status,
        headers,
        body: bytes(body),
        result: 'FunctionGeneratedResponse',
        length: body.length,
        wideAreaMs: 0,
        request,
      },
    };
  }

  private ask(
    behavior: Behavior,
    request: EdgeRequest,
    choice: OriginChoice | undefined,
    arrival: Arrival,
  ): Promise<PopAnswer> {
    const sendsBody = !['GET', 'HEAD', 'OPTIONS'].includes(request.method);
    return this.at(arrival.pop).edge.answer({
      behavior,
      request,
      key: cacheKey(this.distribution.id, behavior, request),
      toOrigin: originRequest(behavior, request, arrival.viewerIp, arrival.requestId),
      target: originsOf(this.distribution, behavior, choice),
      call: {
        pop: arrival.pop,
        distributionArn: this.distribution.arn,
        body: sendsBody ? arrival.message : undefined,
        wideAreaMs: 0,
      },
    });
  }

  /** Puts the page of a custom error response in the place of an error, if the distribution has one for its status. */
  private async withErrorPage(answer: PopAnswer, arrival: Arrival): Promise<PopAnswer> {
    const { CustomErrorResponses } = this.distribution.config;
    const response = CustomErrorResponses.find(({ ErrorCode }) => ErrorCode === answer.status);
    if (response?.ResponsePagePath === undefined || response.ResponseCode === undefined) return answer;
    const request: EdgeRequest = { ...arrival.request, method: 'GET', uri: response.ResponsePagePath, query: '' };
    const page = await this.ask(behaviorFor(this.distribution, request.uri), request, undefined, arrival);
    if (page.status >= 400) return answer;
    for await (const _replaced of answer.body);
    return { ...page, status: response.ResponseCode, result: 'Error', wideAreaMs: answer.wideAreaMs + page.wideAreaMs };
  }

  private invalidate(targets: InvalidationTargets): void {
    this.log.record(targets);
    for (const { cache } of this.pops.values()) {
      cache.deleteWhere((object) => invalidates(targets, object.path, object.tags));
    }
  }

  private at(pop: Pop): { readonly cache: PopCache; readonly edge: PopEdge } {
    const known = this.pops.get(pop.code);
    if (known) return known;
    const { client, clock, popBytes, countOriginBytes } = this.options;
    const cache = new PopCache(popBytes);
    const edge = new PopEdge({
      distribution: this.distribution,
      pop,
      cache,
      log: this.log,
      client,
      clock,
      countOriginBytes: (count) => countOriginBytes(pop, count),
    });
    const created = { cache, edge };
    this.pops.set(pop.code, created);
    return created;
  }
}

async function* bytes(body: Buffer): AsyncGenerator<Buffer> {
  if (body.length > 0) yield body;
}
