import { createHash } from 'node:crypto';
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

/** A configuration, and when POPs began to take it up, ms. */
interface Deployment {
  readonly distribution: Distribution;
  readonly at: number;
}

export interface DistributionEdgeOptions {
  readonly client: OriginClient;
  readonly clock: Clock;
  readonly popBytes: number;
  /** Time in which all POPs have taken up a new configuration, ms. */
  readonly propagationMs: number;
  readonly countOriginBytes: (pop: Pop, bytes: number) => void;
}

/** A distribution at work in all POPs. */
export class DistributionEdge {
  readonly invalidations: InvalidationHistory;
  private readonly log = new InvalidationLog();
  private readonly pops = new Map<string, { readonly cache: PopCache; readonly edge: PopEdge }>();
  /** The newest last; the first is everywhere. */
  private deployments: readonly Deployment[];
  private version = 1;

  constructor(
    distribution: Distribution,
    private readonly options: DistributionEdgeOptions,
  ) {
    this.deployments = [{ distribution, at: Number.NEGATIVE_INFINITY }];
    this.invalidations = new InvalidationHistory(options.clock.now, (targets) => this.invalidate(targets));
  }

  /** As it was configured last. */
  get distribution(): Distribution {
    const newest = this.deployments.at(-1);
    if (!newest) throw new Error('a distribution was never deployed');
    return newest.distribution;
  }

  /** Whether every POP has the newest configuration. */
  get isDeployed(): boolean {
    const newest = this.deployments.at(-1);
    return newest !== undefined && newest.at + this.options.propagationMs <= this.options.clock.now();
  }

  /** Names the newest configuration. */
  get etag(): string {
    return `E${this.distribution.id.slice(1)}V${this.version}`;
  }

  /** Takes a new configuration, which the POPs take up one after the other. */
  update(distribution: Distribution): void {
    const now = this.options.clock.now();
    const everywhere = this.deployments.findLastIndex(({ at }) => at + this.options.propagationMs <= now);
    this.deployments = [...this.deployments.slice(Math.max(0, everywhere)), { distribution, at: now }];
    this.version += 1;
  }

  /** The configuration that a POP works by: each takes a new one up after a time of its own. */
  known(pop: Pop): Distribution {
    const passed = this.options.clock.now() - shareOf(pop.code) * this.options.propagationMs;
    const deployment = this.deployments.findLast(({ at }) => at <= passed) ?? this.deployments[0];
    return deployment?.distribution ?? this.distribution;
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

  private admit({ request, place, pop }: Arrival): Behavior {
    const { config } = this.known(pop);
    if (!config.Enabled) throw new ViewerError(403, 'the distribution is disabled');
    const geo = config.Restrictions?.GeoRestriction;
    const listed = place.countryCode !== undefined && geo?.Locations.includes(place.countryCode) === true;
    if ((geo?.RestrictionType === 'whitelist' && !listed) || (geo?.RestrictionType === 'blacklist' && listed)) {
      throw new ViewerError(
        403,
        `the distribution is configured to block access from ${place.countryCode ?? 'your country'}`,
      );
    }
    const behavior = behaviorFor(this.known(pop), request.uri);
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
    const { DefaultRootObject: root } = this.known(arrival.pop).config;
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
      target: originsOf(this.known(arrival.pop), behavior, choice),
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
    const { CustomErrorResponses } = this.known(arrival.pop).config;
    const response = CustomErrorResponses.find(({ ErrorCode }) => ErrorCode === answer.status);
    if (response?.ResponsePagePath === undefined || response.ResponseCode === undefined) return answer;
    const request: EdgeRequest = { ...arrival.request, method: 'GET', uri: response.ResponsePagePath, query: '' };
    const page = await this.ask(behaviorFor(this.known(arrival.pop), request.uri), request, undefined, arrival);
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
      distribution: () => this.known(pop),
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

/** From 0 to 1, the same for a POP each time. */
function shareOf(code: string): number {
  return createHash('sha256').update(code).digest().readUInt32BE() / 2 ** 32;
}

async function* bytes(body: Buffer): AsyncGenerator<Buffer> {
  if (body.length > 0) yield body;
}
