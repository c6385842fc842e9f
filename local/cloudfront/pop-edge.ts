import type { Pop } from '../geo/pops';
import { acceptedCodings, type CacheKey, type EdgeRequest } from './cache-key';
import type { Clock } from './clock';
import { codingFor, compress } from './compression';
import type { Behavior, Distribution, OriginGroup } from './distribution';
import type { OriginConfig } from './distribution-schema';
import { errorPage } from './error-page';
import { errorTtl, type OriginLifetime, originLifetime, successTtl } from './freshness';
import { type Headers, headerValue } from './headers';
import type { FillTicket, InvalidationLog } from './invalidations';
import { type OriginAnswer, type OriginCall, type OriginClient, OriginFailure } from './origin-client';
import { cachesMethod, type OriginRequest } from './origin-request';
import type { PopCache, StoredObject } from './pop-cache';
import { ageAdjusted, ageOf, confirmed, numberOf, withConditions } from './revalidation';
import { counted, SharedBody } from './shared-body';

/** Most tags that CloudFront keeps for an object; further ones are lost. */
const MAX_TAGS = 50;

/** What the POP is asked, with everything decided that does not depend on the cache. */
export interface PopRequest {
  readonly behavior: Behavior;
  readonly request: EdgeRequest;
  readonly key: CacheKey;
  readonly toOrigin: OriginRequest;
  readonly target: OriginConfig | OriginGroup;
  readonly call: OriginCall;
}

/** What the POP answers, before the viewer's conditions are looked at. */
export interface PopAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: AsyncIterable<Buffer>;
  readonly result: 'Hit' | 'Miss' | 'RefreshHit' | 'Error';
  /** Bytes of the body where they are known. */
  readonly length: number | undefined;
  /** Simulated round trips to origins that this answer waited for, ms. */
  readonly wideAreaMs: number;
}

/** A question to the origin that concurrent requests of one key share. */
interface Fill {
  readonly ticket: FillTicket;
  readonly path: string;
  /** `undefined` until the origin's headers are there. */
  tags: readonly string[] | undefined;
  readonly outcome: Promise<FillOutcome>;
}

interface FillOutcome {
  readonly answer: PopAnswer;
  /** Whether the answer may be given to requests other than the one that asked. */
  readonly shareable: boolean;
}

export interface PopEdgeOptions {
  /** As the POP knows it now. */
  readonly distribution: () => Distribution;
  readonly pop: Pop;
  readonly cache: PopCache;
  readonly log: InvalidationLog;
  readonly client: OriginClient;
  readonly clock: Clock;
  /** Told of the bytes that came from origins. */
  readonly countOriginBytes: (bytes: number) => void;
}

/** One POP of one distribution: its objects and the questions to origins under way. */
export class PopEdge {
  private readonly fills = new Map<string, Fill>();

  constructor(private readonly options: PopEdgeOptions) {}

  /** Answers from the cache or from the origin; an origin that does not answer is a 502 or 504. */
  async answer(asked: PopRequest): Promise<PopAnswer> {
    const { method } = asked.request;
    const readsCache = method === 'GET' || method === 'HEAD' || cachesMethod(asked.behavior, method);
    if (!readsCache) return this.pass(asked);

    const now = this.options.clock.now();
    const stored = this.options.cache.get(asked.key.id);
    if (stored && now < stored.freshUntil) return this.hit(stored);
    if (method === 'HEAD') return this.pass(asked);
    if (stored && now < stored.freshUntil + stored.staleWhileRevalidateMs) {
      void this.collapsed(asked, stored).catch(() => undefined);
      return this.hit(stored);
    }
    // Without a time to live there is nothing to share; CloudFront then sends every request on.
    if (asked.behavior.cachePolicy.MaxTTL === 0) return (await this.startFill(asked, undefined).outcome).answer;
    return this.collapsed(asked, stored);
  }

  private async collapsed(asked: PopRequest, stored: StoredObject | undefined): Promise<PopAnswer> {
    const underWay = this.fills.get(asked.key.id);
    if (underWay && !this.options.log.overtook(underWay.ticket, underWay.path, underWay.tags)) {
      const outcome = await underWay.outcome;
      return outcome.shareable ? outcome.answer : (await this.startFill(asked, stored).outcome).answer;
    }
    const fill = this.startFill(asked, stored);
    this.fills.set(asked.key.id, fill);
    return (await fill.outcome).answer;
  }

  private startFill(asked: PopRequest, stored: StoredObject | undefined): Fill {
    const ticket = this.options.log.begin();
    const end = () => {
      this.options.log.end(ticket);
      if (this.fills.get(asked.key.id) === fill) this.fills.delete(asked.key.id);
    };
    const outcome = this.runFill(asked, stored, ticket, end, (tags) => {
      fill.tags = tags;
    });
    const fill: Fill = { ticket, path: asked.key.path, tags: undefined, outcome };
    outcome.catch(end);
    return fill;
  }

  /** @param end to be called once nothing can be stored or shared any more */
  private async runFill(
    asked: PopRequest,
    stored: StoredObject | undefined,
    ticket: FillTicket,
    end: () => void,
    learnTags: (tags: readonly string[]) => void,
  ): Promise<FillOutcome> {
    // The fill is entered among those under way before it asks anybody.
    await Promise.resolve();
    const store = (object: StoredObject) => {
      if (!this.options.log.overtook(ticket, object.path, object.tags)) this.options.cache.put(object);
    };
    const answer = await this.askOrigin(asked, stored);
    const now = this.options.clock.now();
    const lifetime = ageAdjusted(originLifetime(answer.headers, now), answer.headers);

    if (answer.status === 304 && stored) {
      const refreshed = confirmed(stored, answer.headers, asked.behavior, lifetime, now);
      learnTags(refreshed.tags);
      if (refreshed.freshUntil > now) store(refreshed);
      end();
      const wideAreaMs = asked.call.wideAreaMs;
      return { answer: { ...this.hit(refreshed), result: 'RefreshHit', wideAreaMs }, shareable: true };
    }
    if (answer.status >= 500 && stored && now < stored.freshUntil + stored.staleIfErrorMs) {
      for await (const _unwanted of answer.body);
      learnTags(stored.tags);
      store({ ...stored, freshUntil: now + this.ttlSeconds(asked.behavior, answer.status, lifetime) * 1000 });
      end();
      return { answer: { ...this.hit(stored), wideAreaMs: asked.call.wideAreaMs }, shareable: true };
    }
    return this.fresh(asked, answer, lifetime, { now, store, end, learnTags });
  }

  private fresh(
    asked: PopRequest,
    answer: OriginAnswer,
    lifetime: OriginLifetime,
    fill: {
      now: number;
      store: (object: StoredObject) => void;
      end: () => void;
      learnTags: (tags: readonly string[]) => void;
    },
  ): FillOutcome {
    const headers: Headers = new Map(answer.headers);
    const originEtag = headerValue(headers, 'etag');
    const tags = this.tagsOf(headers);
    fill.learnTags(tags);
    const ttl = this.ttlSeconds(asked.behavior, answer.status, lifetime);
    const length = numberOf(headerValue(headers, 'content-length'));
    const storable = ttl > 0 && answer.status !== 206 && (length ?? 0) <= this.options.cache.maxBytes;

    let body = answer.body;
    const coding = storable
      ? codingFor(
          answer.status,
          headers,
          asked.behavior.config.Compress ? acceptedCodings(asked.behavior, asked.request.headers) : [],
        )
      : undefined;
    if (coding) body = compress(coding, headers, body);
    const common = {
      status: answer.status,
      headers,
      result: answer.status >= 400 ? ('Error' as const) : ('Miss' as const),
      length: coding ? undefined : length,
      wideAreaMs: asked.call.wideAreaMs,
    };
    if (!storable) {
      fill.end();
      return { answer: { ...common, body }, shareable: false };
    }
    const shared = new SharedBody(body);
    const keep = (whole: Buffer) =>
      fill.store({
        id: asked.key.id,
        path: asked.key.path,
        tags,
        status: answer.status,
        headers,
        body: whole,
        originEtag,
        storedAt: fill.now,
        initialAgeMs: ageOf(headers) * 1000,
        freshUntil: fill.now + ttl * 1000,
        // An error is worth keeping for its time, never longer.
        staleWhileRevalidateMs: answer.status >= 400 ? 0 : lifetime.staleWhileRevalidate * 1000,
        staleIfErrorMs: answer.status >= 400 ? 0 : (lifetime.staleIfError ?? Number.POSITIVE_INFINITY) * 1000,
      });
    // A body that breaks off is not kept; its readers see the break.
    shared.whole.then(keep).then(fill.end, fill.end);
    return { answer: { ...common, body: shared }, shareable: true };
  }

  /** Asks the origin once, for this request alone, and keeps nothing. */
  private async pass(asked: PopRequest): Promise<PopAnswer> {
    const answer = await this.askOrigin(asked, undefined);
    return {
      ...answer,
      result: answer.status >= 400 ? 'Error' : 'Miss',
      length: numberOf(headerValue(answer.headers, 'content-length')),
      wideAreaMs: asked.call.wideAreaMs,
    };
  }

  /** @param stored an object that the origin may confirm instead of sending it again */
  private async askOrigin(asked: PopRequest, stored: StoredObject | undefined): Promise<OriginAnswer> {
    const request = stored && stored.status < 400 ? withConditions(asked.toOrigin, stored) : asked.toOrigin;
    try {
      const answer = await this.options.client.ask(asked.target, request, asked.call);
      return { ...answer, body: counted(answer.body, this.options.countOriginBytes) };
    } catch (error) {
      if (!(error instanceof OriginFailure)) throw error;
      return errorPage(error.viewerStatus, error.message);
    }
  }

  private hit(object: StoredObject): PopAnswer {
    const headers: Headers = new Map(object.headers);
    const ageMs = this.options.clock.now() - object.storedAt + object.initialAgeMs;
    headers.set('age', [String(Math.max(0, Math.floor(ageMs / 1000)))]);
    return {
      status: object.status,
      headers,
      body: once(object.body),
      result: object.status >= 400 ? 'Error' : 'Hit',
      length: object.body.length,
      wideAreaMs: 0,
    };
  }

  private tagsOf(headers: Headers): string[] {
    const name = this.options.distribution().config.CacheTagConfig?.HeaderName.toLowerCase();
    const value = name === undefined ? undefined : headerValue(headers, name);
    const tags = (value ?? '').split(',').map((tag) => tag.trim().toLowerCase());
    return [...new Set(tags.filter((tag) => tag !== ''))].slice(0, MAX_TAGS);
  }

  private ttlSeconds(behavior: Behavior, status: number, lifetime: OriginLifetime): number {
    if (status < 400) return status < 200 || status === 304 ? 0 : successTtl(lifetime, behavior.cachePolicy);
    const configured = this.options
      .distribution()
      .config.CustomErrorResponses.find(({ ErrorCode }) => ErrorCode === status);
    return errorTtl(status, lifetime, configured?.ErrorCachingMinTTL);
  }
}

async function* once(body: Buffer): AsyncGenerator<Buffer> {
  if (body.length > 0) yield body;
}
