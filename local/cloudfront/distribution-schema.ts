import { z } from 'zod';
import { Flag } from '../engine/properties';

/**
 * `DistributionConfig` as CloudFormation has it: what the stand-in gives a meaning, and, marked `inert`, what changes
 * nothing that can be seen on one machine. Everything else is refused by its name.
 */

const inert = z.unknown().optional();
const int = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

const CustomOriginConfig = z.strictObject({
  OriginProtocolPolicy: z.enum(['http-only', 'https-only', 'match-viewer']),
  OriginReadTimeout: int(1, 180).default(30),
  HTTPPort: inert,
  HTTPSPort: inert,
  IpAddressType: inert,
  OriginKeepaliveTimeout: inert,
  OriginSSLProtocols: inert,
});

const Origin = z
  .strictObject({
    Id: z.string().min(1),
    DomainName: z.string().min(1),
    OriginPath: z
      .string()
      .regex(/^(\/.*[^/])?$/, 'OriginPath must be empty or start with / and not end with it')
      .default(''),
    ConnectionAttempts: int(1, 3).default(3),
    ConnectionTimeout: int(1, 10).default(10),
    ResponseCompletionTimeout: int(1, 100_000).optional(),
    OriginCustomHeaders: z.array(z.strictObject({ HeaderName: z.string(), HeaderValue: z.string() })).default([]),
    CustomOriginConfig: CustomOriginConfig.optional(),
    S3OriginConfig: z
      .strictObject({
        OriginAccessIdentity: z
          .literal('', 'use origin access control instead of an origin access identity')
          .optional(),
        OriginReadTimeout: inert,
      })
      .optional(),
    OriginAccessControlId: z.string().min(1).optional(),
    OriginShield: z.strictObject({ Enabled: z.literal([false, 'false']) }).optional(),
  })
  .refine((origin) => (origin.CustomOriginConfig === undefined) !== (origin.S3OriginConfig === undefined), {
    error: 'an origin has either CustomOriginConfig or S3OriginConfig',
  });
export type OriginConfig = z.output<typeof Origin>;

/** Statuses that may make an origin group fail over. */
export const FAILOVER_STATUSES = [400, 403, 404, 416, 429, 500, 502, 503, 504];

const OriginGroup = z.strictObject({
  Id: z.string().min(1),
  FailoverCriteria: z.strictObject({
    StatusCodes: z.strictObject({
      Quantity: z.coerce.number(),
      Items: z.array(z.coerce.number().refine((status) => FAILOVER_STATUSES.includes(status))).min(1),
    }),
  }),
  Members: z.strictObject({
    Quantity: z.coerce.number(),
    Items: z.array(z.strictObject({ OriginId: z.string() })).length(2, 'an origin group has exactly two members'),
  }),
  SelectionCriteria: z.literal('default').optional(),
});

/** The three sets of methods that a behaviour can allow. */
const METHOD_SETS = ['GET HEAD', 'GET HEAD OPTIONS', 'DELETE GET HEAD OPTIONS PATCH POST PUT'];
const methods = (sets: readonly string[]) =>
  z.array(z.string()).refine((list) => sets.includes([...list].sort().join(' ')), {
    error: (issue) =>
      `methods ${JSON.stringify(issue.input)} must be one of the sets ${sets.map((set) => `[${set}]`).join(', ')}`,
  });

const empty = z.array(z.unknown()).max(0).optional();

const DefaultBehavior = z.strictObject({
  TargetOriginId: z.string().min(1),
  ViewerProtocolPolicy: z.enum(['allow-all', 'https-only', 'redirect-to-https']),
  AllowedMethods: methods(METHOD_SETS).default(['GET', 'HEAD']),
  CachedMethods: methods(METHOD_SETS.slice(0, 2)).default(['GET', 'HEAD']),
  CachePolicyId: z.string().min(1, 'the stand-in reads cache policies only, not ForwardedValues'),
  OriginRequestPolicyId: z.string().min(1).optional(),
  ResponseHeadersPolicyId: z.string().min(1).optional(),
  Compress: Flag.default(false),
  FunctionAssociations: z
    .array(z.strictObject({ EventType: z.literal('viewer-request'), FunctionARN: z.string() }))
    .max(1, 'one function an event type')
    .default([]),
  LambdaFunctionAssociations: empty,
  TrustedKeyGroups: empty,
  TrustedSigners: empty,
  SmoothStreaming: z.literal([false, 'false']).optional(),
  GrpcConfig: z.strictObject({ Enabled: z.literal([false, 'false']) }).optional(),
  RealtimeLogConfigArn: inert,
});

/** Characters of a path pattern: a path's, and the wildcards `*` and `?`. */
const PATH_PATTERN = /^[A-Za-z0-9_\-.*$/~"'@:+&?%]{1,255}$/;
const PathBehavior = DefaultBehavior.extend({
  PathPattern: z.string().regex(PATH_PATTERN, {
    error: (issue) => `path pattern ${JSON.stringify(issue.input)} must match ${PATH_PATTERN}`,
  }),
});
export type BehaviorConfig = z.output<typeof DefaultBehavior>;

const CustomErrorResponse = z
  .strictObject({
    ErrorCode: z.coerce
      .number()
      .refine((status) => [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504].includes(status)),
    ErrorCachingMinTTL: z.coerce.number().int().min(0).optional(),
    ResponseCode: z.coerce.number().int().optional(),
    ResponsePagePath: z.string().startsWith('/').optional(),
  })
  .refine((response) => (response.ResponseCode === undefined) === (response.ResponsePagePath === undefined), {
    error: 'ResponseCode and ResponsePagePath are given together',
  });

const ViewerCertificate = z.strictObject({
  AcmCertificateArn: z.string().optional(),
  CloudFrontDefaultCertificate: Flag.optional(),
  MinimumProtocolVersion: inert,
  SslSupportMethod: inert,
});

export const DistributionConfig = z.strictObject({
  Enabled: Flag,
  Aliases: z.array(z.string()).default([]),
  DefaultRootObject: z.string().default(''),
  Origins: z.array(Origin).min(1),
  OriginGroups: z
    .strictObject({ Quantity: z.coerce.number(), Items: z.array(OriginGroup).default([]) })
    .optional()
    .transform((groups) => groups?.Items ?? []),
  DefaultCacheBehavior: DefaultBehavior,
  CacheBehaviors: z.array(PathBehavior).default([]),
  CacheTagConfig: z.strictObject({ HeaderName: z.string().min(1) }).optional(),
  CustomErrorResponses: z.array(CustomErrorResponse).default([]),
  Restrictions: z
    .strictObject({
      GeoRestriction: z.strictObject({
        RestrictionType: z.enum(['none', 'whitelist', 'blacklist']),
        Locations: z.array(z.string().length(2)).default([]),
      }),
    })
    .optional(),
  ViewerCertificate: ViewerCertificate.optional(),
  Staging: z.literal([false, 'false']).optional(),
  Comment: inert,
  HttpVersion: inert,
  IPV6Enabled: inert,
  Logging: inert,
  PriceClass: inert,
  WebACLId: inert,
});
export type DistributionConfig = z.output<typeof DistributionConfig>;
