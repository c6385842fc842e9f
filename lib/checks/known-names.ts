import { CachePolicy, OriginRequestPolicy } from 'aws-cdk-lib/aws-cloudfront';
import { SslPolicy } from 'aws-cdk-lib/aws-elasticloadbalancingv2';

/** Names that AWS defines and that no validator of templates knows, with source and date. */

const sizes = (family: string, ...names: readonly string[]) => names.map((name) => `cache.${family}.${name}`);
const STANDARD = ['large', 'xlarge', '2xlarge', '4xlarge'];

/**
 * Node types that new node-based caches with Valkey may have.
 * Source: ElastiCache user guide, "Supported node types", read November 2026; previous generations left out.
 */
export const CACHE_NODE_TYPES: readonly string[] = [
  ...sizes('t3', 'micro', 'small', 'medium'),
  ...sizes('t4g', 'micro', 'small', 'medium'),
  ...['m5', 'r5'].flatMap((family) => sizes(family, ...STANDARD, '12xlarge', '24xlarge')),
  ...['m6g', 'm7g', 'r6g', 'r7g'].flatMap((family) => sizes(family, ...STANDARD, '8xlarge', '12xlarge', '16xlarge')),
  ...sizes('r6gd', 'xlarge', '2xlarge', '4xlarge', '8xlarge', '12xlarge', '16xlarge'),
  ...sizes('c7gn', ...STANDARD, '8xlarge', '12xlarge', '16xlarge'),
];

/** Source: ElastiCache user guide, "Engine versions and upgrading in ElastiCache", read November 2026. */
export const VALKEY_VERSIONS: readonly string[] = ['7.2', '8.0', '8.1', '8.2', '9.0', '9.1'];

/** Family of parameter groups of a Valkey version: one a major version. Source: ibid., "Engine specific parameters". */
export function parameterFamily(version: string): string {
  return `valkey${version.split('.')[0]}`;
}

export const MANAGED_CACHE_POLICIES: readonly string[] = [
  CachePolicy.AMPLIFY,
  CachePolicy.CACHING_DISABLED,
  CachePolicy.CACHING_OPTIMIZED,
  CachePolicy.CACHING_OPTIMIZED_FOR_UNCOMPRESSED_OBJECTS,
  CachePolicy.ELEMENTAL_MEDIA_PACKAGE,
  CachePolicy.USE_ORIGIN_CACHE_CONTROL_HEADERS,
  CachePolicy.USE_ORIGIN_CACHE_CONTROL_HEADERS_QUERY_STRINGS,
].map((policy) => policy.cachePolicyId);

/** The policy that forwards the viewer's `Host` too, which a load balancer's certificate does not name. */
export const ALL_VIEWER_POLICY = OriginRequestPolicy.ALL_VIEWER.originRequestPolicyId;

export const MANAGED_ORIGIN_REQUEST_POLICIES: readonly string[] = [
  OriginRequestPolicy.ALL_VIEWER,
  OriginRequestPolicy.ALL_VIEWER_AND_CLOUDFRONT_2022,
  OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
  OriginRequestPolicy.CORS_CUSTOM_ORIGIN,
  OriginRequestPolicy.CORS_S3_ORIGIN,
  OriginRequestPolicy.ELEMENTAL_MEDIA_TAILOR,
  OriginRequestPolicy.USER_AGENT_REFERER_HEADERS,
].map((policy) => policy.originRequestPolicyId);

export const ELB_TLS_POLICIES: readonly string[] = Object.values(SslPolicy);

/** Source: AWS WAF developer guide, "AWS Managed Rules rule groups list", read November 2026; paid groups left out. */
export const MANAGED_RULE_GROUPS: readonly string[] = [
  'AWSManagedRulesAdminProtectionRuleSet',
  'AWSManagedRulesAmazonIpReputationList',
  'AWSManagedRulesAnonymousIpList',
  'AWSManagedRulesCommonRuleSet',
  'AWSManagedRulesKnownBadInputsRuleSet',
  'AWSManagedRulesLinuxRuleSet',
  'AWSManagedRulesPHPRuleSet',
  'AWSManagedRulesSQLiRuleSet',
  'AWSManagedRulesUnixRuleSet',
  'AWSManagedRulesWindowsRuleSet',
  'AWSManagedRulesWordPressRuleSet',
];
