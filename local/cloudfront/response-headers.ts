import { z } from 'zod';
import { Flag } from '../engine/properties';
import type { Headers } from './headers';

/**
 * Response headers policies: parsed, and applied to answers on their way to the viewer.
 * Source: CloudFront developer guide, "Understand response headers policies".
 * The Server-Timing header of CloudFront's own (`ServerTimingHeadersConfig`) is sampled by it and left out here.
 */

const items = z.strictObject({ Items: z.array(z.string()).min(1) });
const seconds = z.coerce.number().int().min(0);

const Cors = z.strictObject({
  AccessControlAllowCredentials: Flag,
  AccessControlAllowHeaders: items,
  AccessControlAllowMethods: items,
  AccessControlAllowOrigins: items,
  AccessControlExposeHeaders: items.optional(),
  AccessControlMaxAgeSec: seconds.optional(),
  OriginOverride: Flag,
});

const Security = z.strictObject({
  ContentSecurityPolicy: z.strictObject({ ContentSecurityPolicy: z.string(), Override: Flag }).optional(),
  ContentTypeOptions: z.strictObject({ Override: Flag }).optional(),
  FrameOptions: z.strictObject({ FrameOption: z.enum(['DENY', 'SAMEORIGIN']), Override: Flag }).optional(),
  ReferrerPolicy: z.strictObject({ ReferrerPolicy: z.string(), Override: Flag }).optional(),
  StrictTransportSecurity: z
    .strictObject({
      AccessControlMaxAgeSec: seconds,
      IncludeSubdomains: Flag.optional(),
      Preload: Flag.optional(),
      Override: Flag,
    })
    .optional(),
  XSSProtection: z
    .strictObject({ Protection: Flag, ModeBlock: Flag.optional(), ReportUri: z.string().optional(), Override: Flag })
    .optional(),
});

/** `ResponseHeadersPolicyConfig`. */
export const ResponseHeadersPolicyConfig = z.strictObject({
  Name: z.string().min(1),
  Comment: z.string().optional(),
  CorsConfig: Cors.optional(),
  CustomHeadersConfig: z
    .strictObject({ Items: z.array(z.strictObject({ Header: z.string(), Value: z.string(), Override: Flag })).max(10) })
    .optional(),
  RemoveHeadersConfig: z.strictObject({ Items: z.array(z.strictObject({ Header: z.string() })) }).optional(),
  SecurityHeadersConfig: Security.optional(),
  ServerTimingHeadersConfig: z.unknown().optional(),
});
export type ResponseHeadersPolicyConfig = z.output<typeof ResponseHeadersPolicyConfig>;

interface Setting {
  readonly name: string;
  readonly value: string;
  /** Whether the origin's own header gives way. */
  readonly override: boolean;
}

/** Applies a policy to the headers of an answer: removals first, then what the policy sets, as CloudFront orders it. */
export function applyResponseHeaders(
  policy: ResponseHeadersPolicyConfig,
  headers: Headers,
  requestOrigin: string | undefined,
): void {
  for (const { Header } of policy.RemoveHeadersConfig?.Items ?? []) headers.delete(Header.toLowerCase());
  const settings = [
    ...securitySettings(policy),
    ...customSettings(policy),
    ...corsSettings(policy, headers, requestOrigin),
  ];
  for (const { name, value, override } of settings) {
    if (override || !headers.has(name)) headers.set(name, [value]);
  }
}

function customSettings(policy: ResponseHeadersPolicyConfig): Setting[] {
  return (policy.CustomHeadersConfig?.Items ?? []).map(({ Header, Value, Override }) => ({
    name: Header.toLowerCase(),
    value: Value,
    override: Override,
  }));
}

function securitySettings(policy: ResponseHeadersPolicyConfig): Setting[] {
  const security = policy.SecurityHeadersConfig ?? {};
  const settings: Setting[] = [];
  const add = (name: string, value: string, override: boolean) => settings.push({ name, value, override });
  const {
    ContentSecurityPolicy: content,
    ContentTypeOptions: type,
    FrameOptions: frame,
    ReferrerPolicy: referrer,
    StrictTransportSecurity: transport,
    XSSProtection: xss,
  } = security;
  if (content) add('content-security-policy', content.ContentSecurityPolicy, content.Override);
  if (type) add('x-content-type-options', 'nosniff', type.Override);
  if (frame) add('x-frame-options', frame.FrameOption, frame.Override);
  if (referrer) add('referrer-policy', referrer.ReferrerPolicy, referrer.Override);
  if (transport) {
    const parts = [`max-age=${transport.AccessControlMaxAgeSec}`];
    if (transport.IncludeSubdomains) parts.push('includeSubDomains');
    if (transport.Preload) parts.push('preload');
    add('strict-transport-security', parts.join('; '), transport.Override);
  }
  if (xss) {
    const parts = [xss.Protection ? '1' : '0'];
    if (xss.ModeBlock) parts.push('mode=block');
    if (xss.ReportUri !== undefined) parts.push(`report=${xss.ReportUri}`);
    add('x-xss-protection', parts.join('; '), xss.Override);
  }
  return settings;
}

function corsSettings(policy: ResponseHeadersPolicyConfig, headers: Headers, origin: string | undefined): Setting[] {
  const cors = policy.CorsConfig;
  if (!cors || origin === undefined) return [];
  const originSpoke = [...headers.keys()].some((name) => name.startsWith('access-control-'));
  if (originSpoke && !cors.OriginOverride) return [];
  const allowed = cors.AccessControlAllowOrigins.Items;
  if (!allowed.some((pattern) => matchesOrigin(pattern, origin))) return [];

  const anyOrigin = allowed.includes('*') && !cors.AccessControlAllowCredentials;
  const settings: Setting[] = [
    { name: 'access-control-allow-origin', value: anyOrigin ? '*' : origin, override: true },
    {
      name: 'access-control-allow-methods',
      value: cors.AccessControlAllowMethods.Items.join(', '),
      override: true,
    },
    {
      name: 'access-control-allow-headers',
      value: cors.AccessControlAllowHeaders.Items.join(', '),
      override: true,
    },
  ];
  if (cors.AccessControlAllowCredentials) {
    settings.push({ name: 'access-control-allow-credentials', value: 'true', override: true });
  }
  if (cors.AccessControlExposeHeaders) {
    const value = cors.AccessControlExposeHeaders.Items.join(', ');
    settings.push({ name: 'access-control-expose-headers', value, override: true });
  }
  if (cors.AccessControlMaxAgeSec !== undefined) {
    settings.push({ name: 'access-control-max-age', value: String(cors.AccessControlMaxAgeSec), override: true });
  }
  return settings;
}

function matchesOrigin(pattern: string, origin: string): boolean {
  if (pattern === '*') return true;
  const parts = pattern.split('*').map((part) => part.replace(/[.\\+^$[\](){}|?]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^/]*')}$`).test(origin) || origin.replace(/^https?:\/\//, '') === pattern;
}
