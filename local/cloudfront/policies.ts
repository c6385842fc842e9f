import { z } from 'zod';
import { Flag } from '../engine/properties';

/**
 * Cache policies and origin request policies, in the shape of their CloudFormation properties.
 * Source: CloudFront developer guide, "Understand cache policies", "Understand origin request policies".
 */

const seconds = z.coerce.number().int().min(0);
const names = z.array(z.string().min(1)).min(1);

/** `CloudFront-*` headers that the stand-in can tell; others are refused, since a policy that asks for them means them. */
export const GENERATED_HEADERS = [
  'cloudfront-forwarded-proto',
  'cloudfront-viewer-address',
  'cloudfront-viewer-city',
  'cloudfront-viewer-country',
  'cloudfront-viewer-http-version',
  'cloudfront-viewer-latitude',
  'cloudfront-viewer-longitude',
] as const;

const headerNames = names.max(100).transform((list, context) => {
  const lower = list.map((name) => name.toLowerCase());
  const known: readonly string[] = GENERATED_HEADERS;
  for (const name of lower.filter((header) => header.startsWith('cloudfront-') && !known.includes(header))) {
    context.addIssue({
      code: 'custom',
      message: `header ${name} is not generated here; these are: ${known.join(', ')}`,
    });
  }
  return lower;
});

/** Requires the name list for the behaviours that select by name, and forbids it for the others. */
function selection<const B extends readonly [string, ...string[]]>(
  field: string,
  behaviours: B,
  list: string,
  listing: readonly B[number][],
) {
  return z
    .strictObject({ [field]: z.enum(behaviours), [list]: (list === 'Headers' ? headerNames : names).optional() })
    .transform((value, context) => {
      const behavior = value[field] as B[number];
      const selected = value[list] as readonly string[] | undefined;
      if (listing.includes(behavior) !== (selected !== undefined)) {
        const rule = listing.includes(behavior) ? 'needs' : 'forbids';
        context.addIssue({ code: 'custom', message: `${field} ${behavior} ${rule} the list ${list}` });
      }
      return { behavior, names: selected ?? [] };
    });
}

const listedOrExcepted = ['whitelist', 'allExcept'] as const;
const fourWays = ['none', 'whitelist', 'allExcept', 'all'] as const;
const Cookies = selection('CookieBehavior', fourWays, 'Cookies', listedOrExcepted);
const QueryStrings = selection('QueryStringBehavior', fourWays, 'QueryStrings', listedOrExcepted);

/** `CachePolicyConfig`: the parameters of the cache key, and the bounds of the time to live in seconds. */
export const CachePolicyConfig = z
  .strictObject({
    Name: z.string().min(1),
    Comment: z.string().max(128).optional(),
    MinTTL: seconds,
    DefaultTTL: seconds,
    MaxTTL: seconds,
    ParametersInCacheKeyAndForwardedToOrigin: z.strictObject({
      EnableAcceptEncodingGzip: Flag,
      EnableAcceptEncodingBrotli: Flag.default(false),
      HeadersConfig: selection('HeaderBehavior', ['none', 'whitelist'], 'Headers', ['whitelist']),
      CookiesConfig: Cookies,
      QueryStringsConfig: QueryStrings,
    }),
  })
  .superRefine((policy, context) => {
    if (policy.MinTTL > policy.DefaultTTL || policy.DefaultTTL > policy.MaxTTL) {
      context.addIssue({
        code: 'custom',
        message: `cache policy ${policy.Name}: MinTTL ${policy.MinTTL} <= DefaultTTL ${policy.DefaultTTL} <= MaxTTL ${policy.MaxTTL} does not hold`,
      });
    }
    const key = policy.ParametersInCacheKeyAndForwardedToOrigin;
    const splits =
      key.HeadersConfig.behavior !== 'none' ||
      key.CookiesConfig.behavior !== 'none' ||
      key.QueryStringsConfig.behavior !== 'none' ||
      key.EnableAcceptEncodingGzip ||
      key.EnableAcceptEncodingBrotli;
    if (policy.MaxTTL === 0 && splits) {
      context.addIssue({
        code: 'custom',
        message: `cache policy ${policy.Name}: with MaxTTL 0 nothing is cached, and CloudFront refuses parameters of the cache key`,
      });
    }
    if (key.HeadersConfig.names.includes('accept-encoding')) {
      context.addIssue({
        code: 'custom',
        message: `cache policy ${policy.Name}: Accept-Encoding is set by EnableAcceptEncodingGzip and EnableAcceptEncodingBrotli, not as a header`,
      });
    }
  });
export type CachePolicyConfig = z.output<typeof CachePolicyConfig>;

/** `OriginRequestPolicyConfig`: what the origin is told beyond the cache key. */
export const OriginRequestPolicyConfig = z
  .strictObject({
    Name: z.string().min(1),
    Comment: z.string().max(128).optional(),
    HeadersConfig: selection(
      'HeaderBehavior',
      ['none', 'whitelist', 'allViewer', 'allViewerAndWhitelistCloudFront', 'allExcept'],
      'Headers',
      ['whitelist', 'allViewerAndWhitelistCloudFront', 'allExcept'],
    ),
    CookiesConfig: Cookies,
    QueryStringsConfig: QueryStrings,
  })
  .superRefine((policy, context) => {
    const { behavior, names: listed } = policy.HeadersConfig;
    for (const name of ['authorization', 'accept-encoding']) {
      if (behavior === 'whitelist' && listed.includes(name)) {
        context.addIssue({
          code: 'custom',
          message: `origin request policy ${policy.Name}: ${name} can only be forwarded by a cache policy or with all viewer headers`,
        });
      }
    }
  });
export type OriginRequestPolicyConfig = z.output<typeof OriginRequestPolicyConfig>;

/** A selection of named things: query parameters, cookies or headers. */
export interface Selection {
  readonly behavior: string;
  readonly names: readonly string[];
}

/** Whether a selection takes a name; for query parameters and cookies, whose names are compared with case. */
export function selects(selection: Selection, name: string): boolean {
  switch (selection.behavior) {
    case 'all':
      return true;
    case 'whitelist':
      return selection.names.includes(name);
    case 'allExcept':
      return !selection.names.includes(name);
    default:
      return false;
  }
}
