import { type BehaviorConfig, DistributionConfig, type OriginConfig } from './distribution-schema';
import type { EdgeFunction } from './edge-function';
import type { CachePolicyConfig, OriginRequestPolicyConfig } from './policies';
import type { ResponseHeadersPolicyConfig } from './response-headers';

/** What a distribution's ids lead to. Each look-up returns `undefined` for an id that names nothing. */
export interface Catalogue {
  cachePolicy(id: string): CachePolicyConfig | undefined;
  originRequestPolicy(id: string): OriginRequestPolicyConfig | undefined;
  responseHeadersPolicy(id: string): ResponseHeadersPolicyConfig | undefined;
  edgeFunction(arn: string): EdgeFunction | undefined;
  originAccessControl(id: string): { readonly originType: string } | undefined;
  /** Names of a certificate; `undefined` when the certificate's names are not known here. */
  certificateNames(arn: string): readonly string[] | undefined;
}

/** Two origins and the statuses of the first that send a request to the second. */
export interface OriginGroup {
  readonly origins: readonly [OriginConfig, OriginConfig];
  readonly statusCodes: readonly number[];
}

/** A cache behaviour with everything its ids name. */
export interface Behavior {
  readonly pattern: string;
  readonly config: BehaviorConfig;
  readonly cachePolicy: CachePolicyConfig;
  readonly originRequestPolicy: OriginRequestPolicyConfig | undefined;
  readonly responseHeadersPolicy: ResponseHeadersPolicyConfig | undefined;
  readonly viewerRequest: EdgeFunction | undefined;
  readonly target: OriginConfig | OriginGroup;
}

/** A distribution that CloudFront would accept. */
export interface Distribution {
  readonly id: string;
  readonly arn: string;
  readonly domainName: string;
  readonly config: DistributionConfig;
  /** The configuration as it was given: what the API shows, and what an update starts from. */
  readonly source: Readonly<Record<string, unknown>>;
  /** In the order in which they are tried; the default behaviour, pattern `*`, is the last. */
  readonly behaviors: readonly Behavior[];
  origin(id: string): OriginConfig | undefined;
}

export interface DistributionIdentity {
  readonly id: string;
  readonly arn: string;
  readonly domainName: string;
}

/**
 * Checks a `DistributionConfig` as the service does when it is created, and resolves its ids.
 *
 * @throws an Error that names the part of the distribution, the value and what would be right.
 */
export function createDistribution(
  identity: DistributionIdentity,
  properties: unknown,
  catalogue: Catalogue,
): Distribution {
  const parsed = DistributionConfig.safeParse(properties);
  if (!parsed.success) {
    const reasons = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new Error(`distribution ${identity.id}: ${reasons.join('; ')}`);
  }
  const config = parsed.data;
  const check = new Resolver(identity.id, config, catalogue);
  check.originsAreSound();
  check.certificateCoversAliases();
  check.errorPagesAreOnce();
  const behaviors = [
    ...config.CacheBehaviors.map((behavior) => check.behavior(behavior.PathPattern, behavior)),
    check.behavior('*', config.DefaultCacheBehavior),
  ];
  const origins = new Map(config.Origins.map((origin) => [origin.Id, origin]));
  const source = properties as Readonly<Record<string, unknown>>;
  return { ...identity, config, source, behaviors, origin: (id) => origins.get(id) };
}

class Resolver {
  private readonly origins: ReadonlyMap<string, OriginConfig>;
  private readonly groups: ReadonlyMap<string, OriginGroup>;

  constructor(
    private readonly distributionId: string,
    private readonly config: DistributionConfig,
    private readonly catalogue: Catalogue,
  ) {
    this.origins = new Map(config.Origins.map((origin) => [origin.Id, origin]));
    this.groups = new Map(config.OriginGroups.map((group) => [group.Id, this.group(group)]));
  }

  originsAreSound(): void {
    const ids = [...this.config.Origins, ...this.config.OriginGroups].map(({ Id }) => Id);
    const twice = ids.find((id, index) => ids.indexOf(id) !== index);
    if (twice !== undefined) this.refuse(`the id ${twice} names two origins or origin groups`);
    for (const origin of this.config.Origins) {
      const id = origin.OriginAccessControlId;
      if (id === undefined && origin.S3OriginConfig) {
        this.refuse(
          `origin ${origin.Id}: an S3 origin needs an OriginAccessControlId; public buckets are not served here`,
        );
      }
      if (id === undefined) continue;
      const control =
        this.catalogue.originAccessControl(id) ?? this.refuse(`origin ${origin.Id}: no origin access control ${id}`);
      if (control.originType !== 's3' || !origin.S3OriginConfig) {
        this.refuse(`origin ${origin.Id}: the stand-in signs for S3 origins only, not for ${control.originType}`);
      }
    }
  }

  certificateCoversAliases(): void {
    const { Aliases: aliases, ViewerCertificate: certificate } = this.config;
    if (aliases.length === 0) return;
    const arn = certificate?.AcmCertificateArn;
    if (arn === undefined)
      this.refuse(`the aliases ${aliases.join(', ')} need a certificate (ViewerCertificate.AcmCertificateArn)`);
    if (arn.split(':')[3] !== 'us-east-1') this.refuse(`certificate ${arn} must be in us-east-1`);
    const names = this.catalogue.certificateNames(arn);
    const uncovered = names && aliases.find((alias) => !names.some((name) => certificateCovers(name, alias)));
    if (uncovered !== undefined) {
      this.refuse(`alias ${uncovered} is not covered by the certificate's names ${names?.join(', ')}`);
    }
  }

  errorPagesAreOnce(): void {
    const codes = this.config.CustomErrorResponses.map(({ ErrorCode }) => ErrorCode);
    const twice = codes.find((code, index) => codes.indexOf(code) !== index);
    if (twice !== undefined) this.refuse(`two custom error responses for status ${twice}`);
  }

  behavior(pattern: string, config: BehaviorConfig): Behavior {
    const at = (what: string) => `behaviour ${pattern}: ${what}`;
    const target =
      this.origins.get(config.TargetOriginId) ??
      this.groups.get(config.TargetOriginId) ??
      this.refuse(at(`no origin or origin group ${config.TargetOriginId}`));
    if ('origins' in target && config.AllowedMethods.includes('POST')) {
      this.refuse(at('an origin group cannot be the target of a behaviour that allows POST, PUT, PATCH or DELETE'));
    }
    const named = <T>(kind: string, id: string | undefined, find: (id: string) => T | undefined): T | undefined =>
      id === undefined ? undefined : (find(id) ?? this.refuse(at(`no ${kind} ${id}`)));
    const cachePolicy = this.catalogue.cachePolicy(config.CachePolicyId);
    return {
      pattern,
      config,
      target,
      cachePolicy: cachePolicy ?? this.refuse(at(`no cache policy ${config.CachePolicyId}`)),
      originRequestPolicy: named(
        'origin request policy',
        config.OriginRequestPolicyId,
        this.catalogue.originRequestPolicy,
      ),
      responseHeadersPolicy: named(
        'response headers policy',
        config.ResponseHeadersPolicyId,
        this.catalogue.responseHeadersPolicy,
      ),
      viewerRequest: named('function', config.FunctionAssociations[0]?.FunctionARN, this.catalogue.edgeFunction),
    };
  }

  private group(group: DistributionConfig['OriginGroups'][number]): OriginGroup {
    const [first, second] = group.Members.Items.map(
      ({ OriginId }) => this.origins.get(OriginId) ?? this.refuse(`origin group ${group.Id}: no origin ${OriginId}`),
    );
    if (!first || !second) this.refuse(`origin group ${group.Id} must have two members`);
    return { origins: [first, second], statusCodes: group.FailoverCriteria.StatusCodes.Items };
  }

  private refuse(reason: string): never {
    throw new Error(`distribution ${this.distributionId}: ${reason}`);
  }
}

/** Whether a certificate's name covers a host: equal, or a wildcard for exactly one leading label (RFC 6125). */
export function certificateCovers(certificateName: string, host: string): boolean {
  const [name, wanted] = [certificateName.toLowerCase(), host.toLowerCase()];
  return name === wanted || (name.startsWith('*.') && wanted.slice(wanted.indexOf('.')) === name.slice(1));
}

/** The first behaviour whose pattern matches a path; `*` stands for any characters, `?` for exactly one. */
export function behaviorFor(distribution: Distribution, path: string): Behavior {
  for (const behavior of distribution.behaviors) {
    if (matchesPath(behavior.pattern, path)) return behavior;
  }
  throw new Error(`distribution ${distribution.id} has no default behaviour`);
}

function matchesPath(pattern: string, path: string): boolean {
  const absolute = pattern.startsWith('/') || pattern.startsWith('*') ? pattern : `/${pattern}`;
  const source = absolute
    .replace(/[.$"'+^()[\]{}|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(path);
}
