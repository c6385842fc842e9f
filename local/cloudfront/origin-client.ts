import type { Readable } from 'node:stream';
import { Agent, errors, request as httpRequest } from 'undici';
import type { Distances, Dns, ResolvedOrigin, S3Origin } from '../engine/network';
import type { Pop } from '../geo/pops';
import { popToRegionMs } from '../geo/wide-area';
import type { Clock } from './clock';
import { certificateCovers, type OriginGroup } from './distribution';
import type { OriginConfig } from './distribution-schema';
import { type Headers, headersFrom, headerValue, plainHeaders, removeHopByHop } from './headers';
import type { OriginRequest } from './origin-request';

/** An origin's answer, before its body is read. */
export interface OriginAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: AsyncIterable<Buffer>;
}

/** No usable answer from an origin. */
export class OriginFailure extends Error {
  /**
   * @param viewerStatus what the viewer gets
   * @param failoverStatus the status that an origin group must list to fail over: 503 for no connection, 504 for none in time
   */
  constructor(
    message: string,
    readonly viewerStatus: 502 | 504,
    readonly failoverStatus: 502 | 503 | 504,
  ) {
    super(message);
  }
}

/** Where a request is asked from, and how long the simulated way to the origins took. */
export interface OriginCall {
  readonly pop: Pop;
  readonly distributionArn: string;
  /** Body of the viewer's request, `undefined` where there is none. */
  readonly body: Readable | undefined;
  /** Simulated round trips to origins so far, ms; grows as they are asked. */
  wideAreaMs: number;
}

export interface OriginClientOptions {
  readonly dns: Dns;
  readonly distances: Distances;
  readonly s3: S3Origin;
  readonly clock: Clock;
  readonly injectDelays: boolean;
}

const S3_DOMAIN = /^(.+)\.s3(?:[.-]([a-z0-9-]+))?\.amazonaws\.com$/;
const FAILOVER_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/** The connections of CloudFront to origins. Source: CloudFront developer guide, "Optimize high availability with origin failover". */
export class OriginClient {
  private readonly agents = new Map<number, Agent>();

  constructor(private readonly options: OriginClientOptions) {}

  /**
   * Asks an origin, or the first of a group and on its failure the second.
   *
   * @throws OriginFailure when there is no answer.
   */
  async ask(target: OriginConfig | OriginGroup, request: OriginRequest, call: OriginCall): Promise<OriginAnswer> {
    if (!('origins' in target)) return this.askOrigin(target, request, call);
    const [first, second] = target.origins;
    if (!FAILOVER_METHODS.includes(request.method)) return this.askOrigin(first, request, call);
    try {
      const answer = await this.askOrigin(first, request, call);
      if (!target.statusCodes.includes(answer.status)) return answer;
      await discard(answer.body);
    } catch (error) {
      const failsOver = error instanceof OriginFailure && target.statusCodes.includes(error.failoverStatus);
      if (!failsOver) throw error;
    }
    return this.askOrigin(second, request, call);
  }

  async close(): Promise<void> {
    await Promise.all([...this.agents.values()].map((agent) => agent.destroy()));
  }

  private async askOrigin(origin: OriginConfig, request: OriginRequest, call: OriginCall): Promise<OriginAnswer> {
    const headers = new Map(request.headers);
    for (const { HeaderName, HeaderValue } of origin.OriginCustomHeaders)
      headers.set(HeaderName.toLowerCase(), [HeaderValue]);
    const prefixed = { ...request, path: `${origin.OriginPath}${request.path}`, headers };
    return origin.CustomOriginConfig ? this.askCustom(origin, prefixed, call) : this.askS3(origin, prefixed, call);
  }

  private async askCustom(origin: OriginConfig, request: OriginRequest, call: OriginCall): Promise<OriginAnswer> {
    const host = headerValue(request.headers, 'host') ?? origin.DomainName;
    const headers = plainHeaders(new Map(request.headers).set('host', [host]));
    // A body that was begun cannot be sent again.
    const attempts = call.body ? 1 : origin.ConnectionAttempts;
    for (let attempt = 1; ; attempt += 1) {
      const resolved = this.resolve(origin, host, call.pop);
      await this.travel(resolved.region, call);
      try {
        if (resolved.admitsCloudFront?.() === false) {
          await this.options.clock.sleep(origin.ConnectionTimeout * 1000);
          throw new errors.ConnectTimeoutError('no packet of the connection was answered');
        }
        const answer = await httpRequest(`${resolved.url}${request.path}`, {
          method: request.method,
          headers,
          body: call.body ?? null,
          dispatcher: this.agent(origin.ConnectionTimeout),
          headersTimeout: readTimeoutMs(origin),
          bodyTimeout: readTimeoutMs(origin),
        });
        const answerHeaders = headersFrom(answer.headers);
        removeHopByHop(answerHeaders);
        return { status: answer.statusCode, headers: answerHeaders, body: answer.body };
      } catch (error) {
        const failure = failureOf(origin, error);
        if (failure.failoverStatus !== 503 || attempt >= attempts) throw failure;
      }
    }
  }

  private resolve(origin: OriginConfig, host: string, pop: Pop): ResolvedOrigin {
    const resolved = this.options.dns.resolve(origin.DomainName, pop.nearestRegion);
    if (!resolved) throw new OriginFailure(`${origin.DomainName} does not resolve for ${pop.code}`, 502, 502);
    const encrypted = origin.CustomOriginConfig?.OriginProtocolPolicy !== 'http-only';
    const covered = [origin.DomainName, host].some((name) =>
      resolved.certificateNames.some((certificateName) => certificateCovers(certificateName, name)),
    );
    if (encrypted && !covered) {
      const names = resolved.certificateNames.join(', ') || 'no name';
      throw new OriginFailure(`the certificate of ${origin.DomainName} is for ${names}`, 502, 502);
    }
    return resolved;
  }

  private async askS3(origin: OriginConfig, request: OriginRequest, call: OriginCall): Promise<OriginAnswer> {
    const [, bucket] = S3_DOMAIN.exec(origin.DomainName) ?? [];
    if (bucket === undefined)
      throw new OriginFailure(`${origin.DomainName} is not the domain name of a bucket`, 502, 502);
    const { method } = request;
    // The grant of origin access control is for reading; whatever else is asked, S3 denies.
    if (method !== 'GET' && method !== 'HEAD') return { status: 403, headers: new Map(), body: nothing() };
    const region = this.options.s3.regionOf(bucket);
    if (region !== undefined) await this.travel(region, call);
    const headers = Object.fromEntries([...request.headers].map(([name, values]) => [name, values.join(', ')]));
    const answer = await this.options.s3.fetch({
      method,
      bucket,
      path: request.path,
      headers,
      distributionArn: call.distributionArn,
    });
    return { status: answer.status, headers: headersFrom(answer.headers), body: answer.body };
  }

  private async travel(region: string, call: OriginCall): Promise<void> {
    if (!this.options.injectDelays) return;
    const ms = popToRegionMs(call.pop, region, this.options.distances);
    call.wideAreaMs += ms;
    await this.options.clock.sleep(ms);
  }

  private agent(connectionTimeoutSeconds: number): Agent {
    let agent = this.agents.get(connectionTimeoutSeconds);
    if (!agent) {
      agent = new Agent({ connect: { timeout: connectionTimeoutSeconds * 1000 } });
      this.agents.set(connectionTimeoutSeconds, agent);
    }
    return agent;
  }
}

function readTimeoutMs(origin: OriginConfig): number {
  return (origin.CustomOriginConfig?.OriginReadTimeout ?? 30) * 1000;
}

function failureOf(origin: OriginConfig, error: unknown): OriginFailure {
  const reason = `origin ${origin.Id}: ${error instanceof Error ? error.message : String(error)}`;
  const late =
    error instanceof errors.ConnectTimeoutError ||
    error instanceof errors.HeadersTimeoutError ||
    error instanceof errors.BodyTimeoutError;
  return late ? new OriginFailure(reason, 504, 504) : new OriginFailure(reason, 502, 503);
}

/** Reads an unwanted body to its end, so that its connection can serve the next request. */
async function discard(body: AsyncIterable<Buffer>): Promise<void> {
  const chunks = body[Symbol.asyncIterator]();
  while (!(await chunks.next()).done);
}

async function* nothing(): AsyncGenerator<Buffer> {}
