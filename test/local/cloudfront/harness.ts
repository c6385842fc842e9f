import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Clock } from '../../../local/cloudfront/clock';
import { CloudFrontStandIn } from '../../../local/cloudfront/cloudfront-stand-in';
import { CachePolicyConfig, OriginRequestPolicyConfig } from '../../../local/cloudfront/policies';
import type { Dns, ResolvedOrigin, S3Origin } from '../../../local/engine/network';
import { openGeo } from '../../../local/geo/viewer-places';

/** What a viewer got. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** One real HTTP request on a connection of its own. */
async function ask(url: string, path: string, { method = 'GET', headers = {}, body }: Ask = {}): Promise<Answer> {
  const { port } = new URL(url);
  const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false });
  outgoing.end(body);
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  const answerHeaders = Object.fromEntries(
    Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
  );
  incoming.setEncoding('latin1');
  return { status: incoming.statusCode ?? 0, headers: answerHeaders, body: await text(incoming) };
}

/** A request that an origin of a test received, and the way to answer it. */
interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

type Responder = (received: Received, response: ServerResponse) => void | Promise<void>;

/** A real HTTP origin whose behaviour a test sets, and which remembers what it was asked. */
class TestOrigin {
  readonly received: Received[] = [];
  respond: Responder = (_received, response) => {
    response.writeHead(200, { 'cache-control': 'max-age=60', 'content-type': 'text/plain' }).end('hello');
  };
  private readonly server = createServer((message, response) => void this.handle(message, response));
  private readonly waiting: (() => void)[] = [];

  async start(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return `http://127.0.0.1:${address.port}`;
  }

  /** Resolves when the origin has received at least `count` requests. */
  async seen(count: number): Promise<void> {
    while (this.received.length < count) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  async stop(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  private async handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = message;
    const received = { method, url, headers, body: await text(message) };
    this.received.push(received);
    for (const wake of this.waiting.splice(0)) wake();
    await this.respond(received, response);
  }
}

/** A clock that tests move; sleeping moves it too. */
class TestClock implements Clock {
  readonly sleeps: number[] = [];
  private ms = Date.UTC(2026, 0, 1);

  now(): number {
    return this.ms;
  }

  async sleep(ms: number): Promise<void> {
    this.sleeps.push(ms);
    this.ms += ms;
  }

  advanceSeconds(seconds: number): void {
    this.ms += seconds * 1000;
  }
}

const NONE = { CookiesConfig: { CookieBehavior: 'none' }, HeadersConfig: { HeaderBehavior: 'none' } };

/** A cache policy that keys by all query strings, lifetimes 0 / 0 / one year unless changed. */
export function cachePolicy(changes: object = {}, parameters: object = {}): CachePolicyConfig {
  return CachePolicyConfig.parse({
    Name: 'test',
    MinTTL: 0,
    DefaultTTL: 0,
    MaxTTL: 31_536_000,
    ParametersInCacheKeyAndForwardedToOrigin: {
      ...NONE,
      QueryStringsConfig: { QueryStringBehavior: 'all' },
      EnableAcceptEncodingGzip: false,
      ...parameters,
    },
    ...changes,
  });
}

export function originRequestPolicy(parameters: object): OriginRequestPolicyConfig {
  return OriginRequestPolicyConfig.parse({
    Name: 'test',
    ...NONE,
    QueryStringsConfig: { QueryStringBehavior: 'none' },
    ...parameters,
  });
}

const ALL_METHODS = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'POST', 'DELETE'];

export function customOrigin(id: string, domain: string, changes: object = {}): object {
  return {
    Id: id,
    DomainName: domain,
    ConnectionAttempts: 1,
    CustomOriginConfig: { OriginProtocolPolicy: 'https-only' },
    ...changes,
  };
}

export function behavior(changes: object = {}): object {
  return {
    TargetOriginId: 'edge',
    ViewerProtocolPolicy: 'redirect-to-https',
    CachePolicyId: 'test',
    AllowedMethods: ALL_METHODS,
    ...changes,
  };
}

export function distributionConfig(changes: object = {}): object {
  return {
    Enabled: true,
    Origins: [customOrigin('edge', 'origin.test'), customOrigin('edge-failover', 'failover.test')],
    DefaultCacheBehavior: behavior(),
    CacheTagConfig: { HeaderName: 'x-amz-meta-cache-tag' },
    ...changes,
  };
}

/** A CloudFront with one origin server behind `origin.test` and another behind `failover.test`. */
export class TestCdn {
  readonly clock = new TestClock();
  readonly origin = new TestOrigin();
  readonly failover = new TestOrigin();
  readonly records = new Map<string, ResolvedOrigin>();
  readonly lines: string[] = [];
  s3: S3Origin = {
    fetch: async () => {
      throw new Error('no bucket in this test');
    },
    regionOf: () => undefined,
  };
  private server: { url: string; close(): Promise<void> } | undefined;

  private constructor(readonly cloudFront: CloudFrontStandIn) {}

  static async start(options: { injectDelays?: boolean; popBytes?: number } = {}): Promise<TestCdn> {
    const late: { cdn?: TestCdn } = {};
    const current = (): TestCdn => {
      if (!late.cdn) throw new Error('the CDN of the test has not started');
      return late.cdn;
    };
    const dns: Dns = { resolve: (name) => current().records.get(name) };
    const cloudFront = new CloudFrontStandIn({
      dns,
      distances: { betweenRegionsMs: (from, to) => (from === to ? 0 : 100) },
      s3: { fetch: (fetched) => current().s3.fetch(fetched), regionOf: (bucket) => current().s3.regionOf(bucket) },
      geo: await openGeo({ homeRegion: 'us-east-1' }),
      account: '000000000000',
      log: (line) => current().lines.push(line),
      injectDelays: options.injectDelays ?? false,
      ...(options.popBytes === undefined ? {} : { popBytes: options.popBytes }),
      clock: { now: () => current().clock.now(), sleep: (ms) => current().clock.sleep(ms) },
    });
    const cdn = new TestCdn(cloudFront);
    late.cdn = cdn;
    cloudFront.registry.addCachePolicy('test', cachePolicy());
    cdn.records.set('origin.test', {
      url: await cdn.origin.start(),
      region: 'us-east-1',
      certificateNames: ['origin.test'],
    });
    cdn.records.set('failover.test', {
      url: await cdn.failover.start(),
      region: 'eu-west-1',
      certificateNames: ['*.test'],
    });
    cdn.server = await cloudFront.listen({ port: 0 });
    return cdn;
  }

  get url(): string {
    if (!this.server) throw new Error('the CDN of the test does not listen');
    return this.server.url;
  }

  /** Creates or replaces the distribution of the test. */
  deploy(config: object = distributionConfig()): void {
    const identity = {
      id: 'ETEST',
      arn: 'arn:aws:cloudfront::000000000000:distribution/ETEST',
      domainName: 'dtest.cloudfront.net',
    };
    this.cloudFront.createDistribution(identity, config);
  }

  /** Installs code as the viewer-request function of the default behaviour; gives back the name of its store. */
  deployFunction(code: string, changes: object = {}): void {
    const { registry } = this.cloudFront;
    const store = registry.keyValueStoreByName('store') ?? registry.addKeyValueStore('11111111', 'store');
    const FunctionARN = registry.addFunction('viewer-request', code, store.arn);
    this.deploy(
      distributionConfig({
        DefaultCacheBehavior: behavior({
          FunctionAssociations: [{ EventType: 'viewer-request', FunctionARN }],
          ...changes,
        }),
      }),
    );
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return ask(this.url, path, { headers });
  }

  ask(path: string, options: Ask): Promise<Answer> {
    return ask(this.url, path, options);
  }

  invalidate(...items: string[]): void {
    this.cloudFront.distribution('ETEST')?.invalidations.create(`${Math.random()}`, items);
  }

  async stop(): Promise<void> {
    await this.server?.close();
    await this.cloudFront.close();
    await this.origin.stop();
    await this.failover.stop();
  }
}

/** First word of `X-Cache`. */
export function cacheResult(answer: Answer): string {
  return answer.headers['x-cache']?.replace(' from cloudfront', '') ?? '';
}
