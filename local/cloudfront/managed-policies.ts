import { CachePolicyConfig, OriginRequestPolicyConfig } from './policies';
import { ResponseHeadersPolicyConfig } from './response-headers';

/**
 * The policies that AWS keeps in every account, by id, with their published settings.
 * Source: CloudFront developer guide, "Use managed cache policies", "... origin request policies", "... response headers policies".
 * An id that is not here is refused when a distribution names it.
 */

const NOTHING = {
  HeadersConfig: { HeaderBehavior: 'none' },
  CookiesConfig: { CookieBehavior: 'none' },
  QueryStringsConfig: { QueryStringBehavior: 'none' },
};
const EVERYTHING = {
  CookiesConfig: { CookieBehavior: 'all' },
  QueryStringsConfig: { QueryStringBehavior: 'all' },
};
const ORIGIN_CONTROLS = {
  HeadersConfig: {
    HeaderBehavior: 'whitelist',
    Headers: ['host', 'origin', 'x-http-method-override', 'x-http-method', 'x-method-override'],
  },
  CookiesConfig: { CookieBehavior: 'all' },
  EnableAcceptEncodingGzip: true,
  EnableAcceptEncodingBrotli: true,
};
const YEAR = 31_536_000;

function cachePolicy(Name: string, ttl: [number, number, number], parameters: object): CachePolicyConfig {
  const [MinTTL, DefaultTTL, MaxTTL] = ttl;
  return CachePolicyConfig.parse({
    Name,
    MinTTL,
    DefaultTTL,
    MaxTTL,
    ParametersInCacheKeyAndForwardedToOrigin: parameters,
  });
}

function originRequestPolicy(Name: string, parameters: object): OriginRequestPolicyConfig {
  return OriginRequestPolicyConfig.parse({ Name, ...parameters });
}

export const MANAGED_CACHE_POLICIES: ReadonlyMap<string, CachePolicyConfig> = new Map([
  [
    '4135ea2d-6df8-44a3-9df3-4b5a84be39ad',
    cachePolicy('Managed-CachingDisabled', [0, 0, 0], { ...NOTHING, EnableAcceptEncodingGzip: false }),
  ],
  [
    '658327ea-f89d-4fab-a63d-7e88639e58f6',
    cachePolicy('Managed-CachingOptimized', [1, 86_400, YEAR], {
      ...NOTHING,
      EnableAcceptEncodingGzip: true,
      EnableAcceptEncodingBrotli: true,
    }),
  ],
  [
    'b2884449-e4de-46a7-ac36-70bc7f1ddd6d',
    cachePolicy('Managed-CachingOptimizedForUncompressedObjects', [1, 86_400, YEAR], {
      ...NOTHING,
      EnableAcceptEncodingGzip: false,
    }),
  ],
  [
    '83da9c7e-98b4-4e11-a168-04f0df8e2c65',
    cachePolicy('Managed-UseOriginCacheControlHeaders', [0, 0, YEAR], {
      ...ORIGIN_CONTROLS,
      QueryStringsConfig: { QueryStringBehavior: 'none' },
    }),
  ],
  [
    '4cc15a8a-d715-48a4-82b8-cc0b614638fe',
    cachePolicy('Managed-UseOriginCacheControlHeaders-QueryStrings', [0, 0, YEAR], {
      ...ORIGIN_CONTROLS,
      QueryStringsConfig: { QueryStringBehavior: 'all' },
    }),
  ],
]);

export const MANAGED_ORIGIN_REQUEST_POLICIES: ReadonlyMap<string, OriginRequestPolicyConfig> = new Map([
  [
    '216adef6-5c7f-47e4-b989-5492eafa07d3',
    originRequestPolicy('Managed-AllViewer', { ...EVERYTHING, HeadersConfig: { HeaderBehavior: 'allViewer' } }),
  ],
  [
    'b689b0a8-53d0-40ab-baf2-68738e2966ac',
    originRequestPolicy('Managed-AllViewerExceptHostHeader', {
      ...EVERYTHING,
      HeadersConfig: { HeaderBehavior: 'allExcept', Headers: ['host'] },
    }),
  ],
  [
    '59781a5b-3903-41f3-afcb-af62929ccde1',
    originRequestPolicy('Managed-CORS-CustomOrigin', {
      ...NOTHING,
      HeadersConfig: { HeaderBehavior: 'whitelist', Headers: ['origin'] },
    }),
  ],
  [
    '88a5eaf4-2fd4-4709-b370-b4c650ea3fcf',
    originRequestPolicy('Managed-CORS-S3Origin', {
      ...NOTHING,
      HeadersConfig: {
        HeaderBehavior: 'whitelist',
        Headers: ['origin', 'access-control-request-headers', 'access-control-request-method'],
      },
    }),
  ],
  [
    'acba4595-bd28-49b8-b9fe-13317c0390fa',
    originRequestPolicy('Managed-UserAgentRefererHeaders', {
      ...NOTHING,
      HeadersConfig: { HeaderBehavior: 'whitelist', Headers: ['user-agent', 'referer'] },
    }),
  ],
  [
    'bf0718e1-ba1e-49d1-88b1-f726733018ae',
    originRequestPolicy('Managed-HostHeaderOnly', {
      ...NOTHING,
      HeadersConfig: { HeaderBehavior: 'whitelist', Headers: ['host'] },
    }),
  ],
]);

const ANY_ORIGIN = {
  AccessControlAllowCredentials: false,
  AccessControlAllowHeaders: { Items: ['*'] },
  AccessControlAllowMethods: { Items: ['GET', 'HEAD'] },
  AccessControlAllowOrigins: { Items: ['*'] },
  OriginOverride: false,
};
const SECURITY = {
  ContentTypeOptions: { Override: true },
  FrameOptions: { FrameOption: 'SAMEORIGIN', Override: false },
  ReferrerPolicy: { ReferrerPolicy: 'strict-origin-when-cross-origin', Override: false },
  StrictTransportSecurity: { AccessControlMaxAgeSec: YEAR, Override: false },
  XSSProtection: { ModeBlock: true, Protection: true, Override: false },
};

export const MANAGED_RESPONSE_HEADERS_POLICIES: ReadonlyMap<string, ResponseHeadersPolicyConfig> = new Map(
  [
    ['60669652-455b-4ae9-85a4-c4c02393f86c', { Name: 'Managed-SimpleCORS', CorsConfig: ANY_ORIGIN }] as const,
    [
      '67f7725c-6f97-4210-82d7-5512b31e9d03',
      { Name: 'Managed-SecurityHeadersPolicy', SecurityHeadersConfig: SECURITY },
    ] as const,
    [
      'e61eb60c-9c35-4d20-a928-2b84e02af89c',
      { Name: 'Managed-CORS-and-SecurityHeadersPolicy', CorsConfig: ANY_ORIGIN, SecurityHeadersConfig: SECURITY },
    ] as const,
  ].map(([id, config]) => [id, ResponseHeadersPolicyConfig.parse(config)]),
);
