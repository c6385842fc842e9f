import { Duration, Lazy, Validations } from 'aws-cdk-lib';
import type { ICertificate } from 'aws-cdk-lib/aws-certificatemanager';
import {
  AllowedMethods,
  type BehaviorOptions,
  CachePolicy,
  CfnDistribution,
  Distribution,
  type ErrorResponse,
  FunctionEventType,
  HttpVersion,
  type IOrigin,
  KeyValueStore,
  OriginProtocolPolicy,
  OriginRequestPolicy,
  OriginSslPolicy,
  S3OriginAccessControl,
  SecurityPolicyProtocol,
  ViewerProtocolPolicy,
} from 'aws-cdk-lib/aws-cloudfront';
import { HttpOrigin, OriginGroup, S3BucketOrigin } from 'aws-cdk-lib/aws-cloudfront-origins';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { ORIGIN_KEY_HEADERS, ORIGIN_KEYS, type OriginKey } from '../core/origin-keys';
import type { RegionCode } from '../core/regions';
import { CACHE_TAG_HEADER } from '../core/tags';
import { CachePolicies } from './cache-policies';
import { EDGE_READ_TIMEOUT } from './edge-timeouts';
import { predictionRequestPolicy } from './request-policies';
import { FAILOVER_STATUSES, regionOriginId, ViewerRequestFunction } from './viewer-request-function';

/** Origin ids that the viewer-request function names. */
const EDGE_ORIGIN = 'edge';
const FAILOVER_ORIGIN = 'edge-failover';

/** Errors that a POP must not keep: the next request may find the region recovered. */
const TRANSIENT_STATUSES = [500, 502, 503, 504];

export interface EdgeDistributionProps {
  /** Prefix of account-wide names. */
  readonly namePrefix: string;
  readonly domainName: string;
  readonly certificate: ICertificate;
  /** What load balancers know CloudFront by, each in its header. */
  readonly originKeys: Readonly<Record<OriginKey, string>>;
  /** Leads to the nearest healthy region. */
  readonly originHostname: string;
  /** Leads to the region next to it; absent where there is only one. */
  readonly failoverHostname?: string | undefined;
  /** Web ACL in front; absent: none. */
  readonly webAclArn?: string | undefined;
  /** Names that lead to one region each, by region: what may be chosen by score. Empty: latency routing alone decides. */
  readonly regionHostnames: ReadonlyMap<RegionCode, string>;
  /** The home region's model bucket, then, where there is one, the nearest replica. */
  readonly modelBuckets: readonly [IBucket, IBucket?];
  readonly defaultModel: string;
}

/** The outermost cache: one CloudFront distribution for predictions, artifacts and API responses. */
export class EdgeDistribution extends Construct {
  readonly distribution: Distribution;
  /** Name of the CloudFront Function of the viewer-request event. */
  readonly viewerFunctionName: string;
  readonly keyValueStore: KeyValueStore;

  constructor(scope: Construct, id: string, props: EdgeDistributionProps) {
    super(scope, id);
    this.keyValueStore = new KeyValueStore(this, 'LiveVersions', {
      keyValueStoreName: `${props.namePrefix}-live-versions`,
      comment: 'Live version of each model, written by the publisher',
    });
    const originIds = props.failoverHostname === undefined ? [EDGE_ORIGIN] : [EDGE_ORIGIN, FAILOVER_ORIGIN];
    this.viewerFunctionName = `${props.namePrefix}-viewer-request`;
    const viewerRequest = new ViewerRequestFunction(this, 'ViewerRequest', {
      functionName: this.viewerFunctionName,
      keyValueStore: this.keyValueStore,
      defaultModel: props.defaultModel,
      originIds,
      scoredRegions: [...props.regionHostnames.keys()],
    });
    const policies = new CachePolicies(this, 'CachePolicies', props.namePrefix);
    const edge = edgeOrigin(EDGE_ORIGIN, props.originHostname, props.originKeys);

    const located = predictionRequestPolicy(this, 'PredictionRequests', props.namePrefix);

    /** A path that the edge service answers, any method, through the function. */
    const service = (
      cachePolicy: BehaviorOptions['cachePolicy'] & object,
      originRequestPolicy: BehaviorOptions['originRequestPolicy'] &
        object = OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
    ): BehaviorOptions => ({
      origin: edge,
      cachePolicy,
      originRequestPolicy,
      allowedMethods: AllowedMethods.ALLOW_ALL,
      viewerProtocolPolicy: ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
      functionAssociations: [{ eventType: FunctionEventType.VIEWER_REQUEST, function: viewerRequest.function }],
    });

    this.distribution = new Distribution(this, 'Distribution', {
      comment: `${props.namePrefix}: predictions, model artifacts and API responses`,
      domainNames: [props.domainName],
      certificate: props.certificate,
      minimumProtocolVersion: SecurityPolicyProtocol.TLS_V1_2_2021,
      httpVersion: HttpVersion.HTTP2_AND_3,
      // Hit rate and origin latency, which CloudFront measures only for pay.
      publishAdditionalMetrics: true,
      ...(props.webAclArn === undefined ? {} : { webAclId: props.webAclArn }),
      errorResponses: errorCaching(),
      defaultBehavior: service(policies.apiResponses),
      additionalBehaviors: {
        '/predict': service(policies.predictions, located),
        '/batch_predict': service(CachePolicy.CACHING_DISABLED, located),
        '/v2': service(CachePolicy.CACHING_DISABLED),
        '/v2/*': service(CachePolicy.CACHING_DISABLED),
        '/health': {
          origin: healthOrigin(edge, props),
          cachePolicy: CachePolicy.CACHING_DISABLED,
          allowedMethods: AllowedMethods.ALLOW_GET_HEAD,
          viewerProtocolPolicy: ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
        },
        '/models/*': {
          origin: this.artifactOrigin(props),
          cachePolicy: policies.artifacts,
          allowedMethods: AllowedMethods.ALLOW_GET_HEAD,
          viewerProtocolPolicy: ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
        },
      },
    });
    this.enableCacheTags();
    this.addRegionOrigins(props);
    this.acknowledgeFindings(props.webAclArn !== undefined);
  }

  /** The home bucket and, where there is one, a replica that takes over when the home region's S3 fails. */
  private artifactOrigin(props: EdgeDistributionProps): IOrigin {
    const originAccessControl = new S3OriginAccessControl(this, 'ArtifactAccess', {
      originAccessControlName: `${props.namePrefix}-artifacts`,
      description: 'CloudFront reads model artifacts; the bucket policies are in the regional stacks',
    });
    const [home, replica] = props.modelBuckets;
    const primaryOrigin = S3BucketOrigin.withOriginAccessControl(home, { originId: 'artifacts', originAccessControl });
    if (!replica) return primaryOrigin;
    return new OriginGroup({
      primaryOrigin,
      fallbackOrigin: S3BucketOrigin.withOriginAccessControl(replica, {
        originId: 'artifacts-failover',
        originAccessControl,
      }),
      fallbackStatusCodes: [...TRANSIENT_STATUSES],
    });
  }

  /** Lets `CreateInvalidation` name tags. CDK has no property for it yet. */
  private enableCacheTags(): void {
    this.resource.addPropertyOverride('DistributionConfig.CacheTagConfig', { HeaderName: CACHE_TAG_HEADER });
  }

  /** Adds origins that no behaviour names, for the viewer-request function to choose; CDK adds only those of behaviours. */
  private addRegionOrigins({ regionHostnames, originKeys }: EdgeDistributionProps): void {
    const regional = [...regionHostnames].map(([region, hostname]) => {
      const originId = regionOriginId(region);
      return edgeOrigin(originId, hostname, originKeys).bind(this, { originId }).originProperty;
    });
    const config = this.resource.distributionConfig;
    if (regional.length === 0) return;
    if (!('origins' in config)) throw new Error('the distribution has no list of origins to add to');
    const { origins } = config;
    this.resource.distributionConfig = {
      ...config,
      origins: Lazy.uncachedAny({ produce: (context) => [...context.resolve(origins), ...regional] }),
    };
  }

  private get resource(): CfnDistribution {
    const resource = this.distribution.node.defaultChild;
    if (!(resource instanceof CfnDistribution)) throw new Error('the distribution has no CfnDistribution');
    return resource;
  }

  private acknowledgeFindings(hasFirewall: boolean): void {
    Validations.of(this.distribution).acknowledge(
      {
        id: 'Annotation::@aws-cdk/aws-cloudfront-origins:updateImportedBucketPolicyOac',
        reason: 'The bucket policies that let CloudFront in are written by the regional stacks; see ModelBucket.',
      },
      { id: 'AwsSolutions-CFR1', reason: 'The service is for viewers of every country.' },
      {
        id: 'AwsSolutions-CFR3',
        reason:
          'Where the environment keeps access logs, standard logging v2 delivers them, which the rule does not know; see DistributionLogs.',
      },
    );
    if (hasFirewall) return;
    Validations.of(this.distribution).acknowledge({
      id: 'AwsSolutions-CFR2',
      reason: 'This environment pays for no firewall: the service limits and validates what it reads.',
    });
  }
}

/** One region's service under a name that latency routing resolves. One quick attempt: the other origin is the retry. */
function edgeOrigin(originId: string, hostname: string, keys: EdgeDistributionProps['originKeys']): HttpOrigin {
  return new HttpOrigin(hostname, {
    originId,
    // A viewer's own headers of these names are replaced.
    customHeaders: Object.fromEntries(ORIGIN_KEYS.map((key) => [ORIGIN_KEY_HEADERS[key], keys[key]])),
    protocolPolicy: OriginProtocolPolicy.HTTPS_ONLY,
    originSslProtocols: [OriginSslPolicy.TLS_V1_2],
    connectionAttempts: 1,
    connectionTimeout: Duration.seconds(3),
    readTimeout: EDGE_READ_TIMEOUT,
    keepaliveTimeout: EDGE_READ_TIMEOUT,
  });
}

/**
 * `/health` allows no POST, so CloudFront takes a static group here: the CDN is up while either region is. This group is
 * also what makes the failover origin part of the distribution, where the viewer-request function finds it.
 */
function healthOrigin(edge: HttpOrigin, props: EdgeDistributionProps): IOrigin {
  if (props.failoverHostname === undefined) return edge;
  return new OriginGroup({
    primaryOrigin: edgeOrigin('edge-health', props.originHostname, props.originKeys),
    fallbackOrigin: edgeOrigin(FAILOVER_ORIGIN, props.failoverHostname, props.originKeys),
    fallbackStatusCodes: [...FAILOVER_STATUSES],
  });
}

/** By default CloudFront keeps errors for 10 s. */
function errorCaching(): ErrorResponse[] {
  const kept = { httpStatus: 404, ttl: Duration.seconds(1) };
  return [kept, ...TRANSIENT_STATUSES.map((httpStatus) => ({ httpStatus, ttl: Duration.seconds(0) }))];
}
