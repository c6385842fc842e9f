import { CloudFrontClient } from '@aws-sdk/client-cloudfront';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Entrances } from '../../lambda/origin-key-rotation/entrances';
import type { Parts } from '../../lambda/origin-key-rotation/in-force';
import { KeySecrets } from '../../lambda/origin-key-rotation/key-secrets';
import { Sender } from '../../lambda/origin-key-rotation/sender';
import { ORIGIN_KEY_HEADERS, ORIGIN_KEYS, type OriginKey } from '../../lib/core/origin-keys';
import { AwsFront } from '../../local/aws-front/aws-front';
import { CloudFrontStandIn } from '../../local/cloudfront/cloudfront-stand-in';
import type { DistributionEdge } from '../../local/cloudfront/distribution-edge';
import { SecurityGroups } from '../../local/ec2/security-groups';
import { Certificates } from '../../local/elb/certificates';
import { ElbStandIn } from '../../local/elb/elb-stand-in';
import { loadPops, type Pop } from '../../local/geo/pops';
import { IamStandIn } from '../../local/iam/iam-stand-in';
import { SecretsStandIn } from '../../local/secretsmanager/secrets-stand-in';
import { ACCOUNT } from '../local/support/cloud-assembly';
import { resource } from '../local/support/platform';

export const PRIMARY = 'us-east-1';
export const REGIONS = [PRIMARY, 'eu-west-1', 'ap-northeast-1'] as const;
export const SETTLE_MS = 10_000;
export const NAMES = { first: 'key-first', second: 'key-second' } as const;
const DISTRIBUTION_ID = 'E1';
const BALANCER = 'edge';
const PROPAGATION_MS = 25_000;
/** Managed-CachingDisabled. */
const NO_CACHE = '4135ea2d-6df8-44a3-9df3-4b5a84be39ad';

/** Time that moves only when somebody waits. */
class SteppedTime {
  private ms = 1_000_000;
  private readonly due: { at: number; run: () => void }[] = [];

  readonly now = (): number => this.ms;

  readonly after = (ms: number, run: () => void): (() => void) => {
    const entry = { at: this.ms + ms, run };
    this.due.push(entry);
    return () => this.due.splice(this.due.indexOf(entry), 1);
  };

  readonly pause = async (ms: number): Promise<void> => {
    this.ms += ms;
    for (const entry of this.due.filter(({ at }) => at <= this.ms)) {
      this.due.splice(this.due.indexOf(entry), 1);
      entry.run();
    }
  };
}

/** Called before and after every call of the AWS SDK. */
export type Boundary = (command: string, side: 'before' | 'after') => void | Promise<void>;

/** What CloudFormation writes when it happens to update a resource, with what it has just read. */
export interface Rewrite {
  readonly what: string;
  land(): void;
}

/**
 * Everything that must agree on the origin keys, as stand-ins that are called over HTTP: secrets with replicas that lag,
 * a load balancer in each region, and a distribution that its POPs take up one after the other.
 */
export class KeyedCdn {
  readonly time = new SteppedTime();
  readonly secrets = new SecretsStandIn({ find: () => undefined, permits: () => true }, () => {}, this.time.after);
  readonly elb = new ElbStandIn(new Certificates());
  readonly cloudFront: CloudFrontStandIn;
  boundary: Boundary = () => {};
  private readonly pops: readonly Pop[] = loadPops().slice(0, 12);
  private readonly stops: (() => Promise<void>)[] = [];
  private readonly iam = new IamStandIn(ACCOUNT, () => {});
  private front: AwsFront | undefined;
  private clients: { destroy(): void }[] = [];

  private constructor(propagationMs: number) {
    const unused = () => {
      throw new Error('no viewer calls this CDN');
    };
    this.cloudFront = new CloudFrontStandIn({
      dns: { resolve: unused },
      distances: { betweenRegionsMs: unused },
      s3: { fetch: unused, regionOf: unused },
      geo: { locate: unused, nearestPop: unused } as never,
      account: ACCOUNT,
      log: () => {},
      injectDelays: false,
      clock: { now: this.time.now, sleep: this.time.pause },
      propagationMs,
    });
  }

  /** @param propagationMs time in which all POPs take up a changed distribution */
  static async start(regions: readonly string[] = REGIONS, propagationMs = PROPAGATION_MS): Promise<KeyedCdn> {
    const cdn = new KeyedCdn(propagationMs);
    cdn.front = await AwsFront.start({
      account: ACCOUNT,
      log: () => {},
      port: 0,
      iam: cdn.iam,
      securityGroups: new SecurityGroups(() => undefined),
    });
    cdn.front.serve(cdn.secrets.api, cdn.elb.api, ...cdn.cloudFront.apis);
    for (const key of ORIGIN_KEYS) await cdn.deploySecret(key);
    for (const region of regions) await cdn.deployBalancer(region);
    cdn.cloudFront.createDistribution(
      {
        id: DISTRIBUTION_ID,
        arn: `arn:aws:cloudfront::${ACCOUNT}:distribution/${DISTRIBUTION_ID}`,
        domainName: 'd.test',
      },
      cdn.distributionConfig(),
    );
    return cdn;
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.destroy();
    for (const stop of this.stops.reverse()) await stop();
    await this.front?.close();
    await this.cloudFront.close();
    await this.secrets.close();
  }

  get edge(): DistributionEdge {
    const edge = this.cloudFront.distribution(DISTRIBUTION_ID);
    if (!edge) throw new Error('there is no distribution');
    return edge;
  }

  /** What the function works with, its clients reporting to `boundary`. @param regions those that must have a load balancer */
  parts(regions: readonly string[] = REGIONS): Parts {
    const elb = perRegion((region) => this.client(new ElasticLoadBalancingV2Client(this.settings(region))));
    const secrets = perRegion((region) => this.client(new SecretsManagerClient(this.settings(region))));
    return {
      secrets: new KeySecrets({ client: secrets, primaryRegion: PRIMARY, names: NAMES }),
      entrances: new Entrances({ client: elb, loadBalancerName: BALANCER, regions }),
      sender: new Sender(this.client(new CloudFrontClient(this.settings(PRIMARY))), DISTRIBUTION_ID),
      settleMs: SETTLE_MS,
      remainingMs: () => 900_000,
      pause: this.time.pause,
    };
  }

  value(key: OriginKey, region: string = PRIMARY): string {
    return this.secrets.value(NAMES[key], region) ?? '';
  }

  /** Accepted values of a key in a region. */
  accepted(key: OriginKey, region: string): readonly string[] {
    const conditions = this.rule(key, region)?.rule.conditions ?? [];
    return conditions.flatMap((condition) =>
      condition.Field === 'http-header' ? condition.HttpHeaderConfig.Values : [],
    );
  }

  /** Every request of a POP that a load balancer would refuse now. */
  refusals(): string[] {
    const regions = REGIONS.filter((region) => this.rule('first', region));
    return this.pops.flatMap((pop) => {
      const [origin] = this.edge.known(pop).config.Origins;
      return regions
        .filter((region) => {
          const accepts = (key: OriginKey) =>
            origin?.OriginCustomHeaders.some(
              ({ HeaderName, HeaderValue }) =>
                HeaderName === ORIGIN_KEY_HEADERS[key] && this.accepted(key, region).includes(HeaderValue),
            );
          return !ORIGIN_KEYS.some(accepts);
        })
        .map((region) => `${pop.code} -> ${region}`);
    });
  }

  /** What CloudFormation would write now: everything is read at this moment. */
  rewriteRule(key: OriginKey, region: string): Rewrite {
    const value = this.value(key, region);
    return { what: `rule ${key} ${region}`, land: () => this.setRule(key, region, [value]) };
  }

  rewriteDistribution(): Rewrite {
    const config = this.distributionConfig();
    return {
      what: 'distribution',
      land: () => this.cloudFront.configure(DISTRIBUTION_ID, config),
    };
  }

  setRule(key: OriginKey, region: string, values: readonly string[]): void {
    const found = this.rule(key, region);
    if (!found) return;
    const HttpHeaderConfig = { HttpHeaderName: ORIGIN_KEY_HEADERS[key], Values: [...values] };
    found.listener.putRule({ ...found.rule, conditions: [{ Field: 'http-header', HttpHeaderConfig }] });
  }

  /** A region's load balancer with its two rules, as the edge stack makes it. */
  async deployBalancer(region: string): Promise<void> {
    const start = async (type: string, id: string, properties: Record<string, unknown>) => {
      const module = this.elb.modules.find((candidate) => candidate.type === `AWS::ElasticLoadBalancingV2::${type}`);
      if (!module) throw new Error(`no module for ${type}`);
      const running = await module.start(resource(module.type, id, properties, region));
      if (running.stop) this.stops.push(running.stop);
      return running.ref;
    };
    const answer = (StatusCode: number) => [{ Type: 'fixed-response', FixedResponseConfig: { StatusCode } }];
    const LoadBalancerArn = await start('LoadBalancer', 'Balancer', { Name: BALANCER });
    const ListenerArn = await start('Listener', 'Listener', {
      ...{ LoadBalancerArn, Port: 80, Protocol: 'HTTP' },
      DefaultActions: answer(403),
    });
    for (const [index, key] of ORIGIN_KEYS.entries()) {
      const HttpHeaderConfig = { HttpHeaderName: ORIGIN_KEY_HEADERS[key], Values: [this.value(key, region)] };
      const Conditions = [{ Field: 'http-header', HttpHeaderConfig }];
      await start('ListenerRule', `Rule${key}`, {
        ListenerArn,
        Priority: 10 + index,
        Conditions,
        Actions: answer(200),
      });
    }
  }

  private async deploySecret(key: OriginKey): Promise<void> {
    const module = this.secrets.modules.find(({ type }) => type === 'AWS::SecretsManager::Secret');
    const running = await module?.start(
      resource('AWS::SecretsManager::Secret', key, {
        Name: NAMES[key],
        GenerateSecretString: { PasswordLength: 64, ExcludePunctuation: true },
        ReplicaRegions: REGIONS.slice(1).map((Region) => ({ Region })),
      }),
    );
    if (running?.stop) this.stops.push(running.stop);
  }

  private rule(key: OriginKey, region: string) {
    const balancer = this.elb.balancerByName(BALANCER, region);
    return balancer?.listeners
      .flatMap((listener) => listener.rules.map((rule) => ({ listener, rule })))
      .find(({ rule }) =>
        rule.conditions.some(
          (condition) =>
            condition.Field === 'http-header' && condition.HttpHeaderConfig.HttpHeaderName === ORIGIN_KEY_HEADERS[key],
        ),
      );
  }

  private distributionConfig() {
    const OriginCustomHeaders = ORIGIN_KEYS.map((key) => ({
      HeaderName: ORIGIN_KEY_HEADERS[key],
      HeaderValue: this.value(key),
    }));
    const custom = (Id: string) => ({
      ...{ Id, DomainName: `${Id}.test`, OriginCustomHeaders },
      CustomOriginConfig: { OriginProtocolPolicy: 'https-only', OriginSSLProtocols: ['TLSv1.2'] },
    });
    return {
      Enabled: true,
      CacheTagConfig: { HeaderName: 'cache-tag' },
      Origins: [custom('edge'), custom('edge-failover'), { ...custom('plain'), OriginCustomHeaders: [] }],
      DefaultCacheBehavior: {
        ...{ TargetOriginId: 'edge', ViewerProtocolPolicy: 'https-only', CachePolicyId: NO_CACHE, Compress: true },
        AllowedMethods: ['GET', 'HEAD', 'OPTIONS'],
        CachedMethods: ['GET', 'HEAD'],
      },
    };
  }

  private settings(region: string) {
    const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = this.operator;
    const endpoint = `http://127.0.0.1:${this.front?.port}`;
    return { region, endpoint, credentials: { accessKeyId, secretAccessKey }, maxAttempts: 1 };
  }

  private readonly operator = this.iam.operator();

  private client<C extends SecretsManagerClient | ElasticLoadBalancingV2Client | CloudFrontClient>(client: C): C {
    this.clients.push(client);
    const stack = client.middlewareStack as unknown as {
      add(
        middleware: (
          next: (args: object) => Promise<object>,
          context: { commandName?: string },
        ) => (args: object) => Promise<object>,
        options: { step: 'initialize'; name: string },
      ): void;
    };
    stack.add(
      (next, { commandName = '' }) =>
        async (args) => {
          await this.boundary(commandName, 'before');
          const output = await next(args);
          await this.boundary(commandName, 'after');
          return output;
        },
      { step: 'initialize', name: 'reportBoundaries' },
    );
    return client;
  }
}

function perRegion<T>(create: (region: string) => T): (region: string) => T {
  const made = new Map<string, T>();
  return (region) => {
    const one = made.get(region) ?? create(region);
    made.set(region, one);
    return one;
  };
}
