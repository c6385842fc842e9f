import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';

/**
 * A distribution's configuration as the CloudFront API writes it. CloudFormation has the same in other words: plain lists
 * where the API has `Quantity` and `Items`, and some names in another case.
 */

type Json = Readonly<Record<string, unknown>>;

/** Names that differ between CloudFormation and the API. */
const RENAMED: Readonly<Record<string, string>> = {
  AcmCertificateArn: 'ACMCertificateArn',
  IPV6Enabled: 'IsIPV6Enabled',
  OriginCustomHeaders: 'CustomHeaders',
  OriginSSLProtocols: 'OriginSslProtocols',
  SslSupportMethod: 'SSLSupportMethod',
};

/** Element of each list, by its name in CloudFormation. */
const ELEMENTS: Readonly<Record<string, string>> = {
  Aliases: 'CNAME',
  AllowedMethods: 'Method',
  CacheBehaviors: 'CacheBehavior',
  CachedMethods: 'Method',
  CustomErrorResponses: 'CustomErrorResponse',
  FunctionAssociations: 'FunctionAssociation',
  LambdaFunctionAssociations: 'LambdaFunctionAssociation',
  Locations: 'Location',
  Members: 'OriginGroupMember',
  OriginCustomHeaders: 'OriginCustomHeader',
  OriginGroups: 'OriginGroup',
  OriginSSLProtocols: 'SslProtocol',
  Origins: 'Origin',
  StatusCodes: 'StatusCode',
  TrustedKeyGroups: 'KeyGroup',
  TrustedSigners: 'AwsAccountNumber',
};

/** The API's document of a `DistributionConfig` of CloudFormation. @param callerReference which CloudFormation makes up */
export function apiDocument(config: Json, callerReference: string): Json {
  return { CallerReference: callerReference, Comment: '', ...objectDocument(config) };
}

function objectDocument(object: Json): Json {
  const { CachedMethods, ...rest } = object;
  const entries = Object.entries(rest).map(([name, value]) => {
    const document = valueDocument(name, value);
    const nested = name === 'AllowedMethods' && Array.isArray(CachedMethods);
    const whole = nested
      ? { ...(document as Json), CachedMethods: valueDocument('CachedMethods', CachedMethods) }
      : document;
    return [RENAMED[name] ?? name, whole];
  });
  return Object.fromEntries(entries);
}

function valueDocument(name: string, value: unknown): unknown {
  if (Array.isArray(value)) return listDocument(name, value);
  if (typeof value !== 'object' || value === null) return value;
  const items = 'Items' in value ? value.Items : undefined;
  return Array.isArray(items) ? listDocument(name, items) : objectDocument(value as Json);
}

function listDocument(name: string, items: readonly unknown[]): Json {
  const element = ELEMENTS[name];
  if (element === undefined) throw new Error(`${name}: the elements of this list have no name here`);
  const documents = items.map((item) =>
    typeof item === 'object' && item !== null ? objectDocument(item as Json) : item,
  );
  return { Quantity: items.length, ...(items.length > 0 ? { Items: { [element]: documents } } : {}) };
}

const OneOrMore = <T extends z.ZodType>(item: T) =>
  z.union([z.array(item), item.transform((single) => [single as z.output<T>])]);

const GivenHeaders = z.looseObject({
  Quantity: z.coerce.number(),
  Items: z
    .object({ OriginCustomHeader: OneOrMore(z.strictObject({ HeaderName: z.string(), HeaderValue: z.string() })) })
    .optional(),
});
const GivenOrigin = z.looseObject({ Id: z.string(), CustomHeaders: GivenHeaders.optional() });
const GivenDocument = z.looseObject({
  Origins: z.looseObject({ Items: z.looseObject({ Origin: OneOrMore(GivenOrigin) }) }),
});

/** What is wrong with a document that should replace another. */
export class DocumentFault extends Error {}

/**
 * The CloudFormation configuration after an update. The headers that origins are sent may change; everything else must be
 * as it was, what the caller left out included, for CloudFront would take it away.
 *
 * @param given the API's document, parsed from XML: every value is text
 * @param current as `given`, of the configuration that is replaced
 * @throws DocumentFault naming what else has changed
 */
export function withCustomHeaders(config: Json, given: unknown, current: unknown): Json {
  const [wanted, known] = [given, current].map((document) => {
    const parsed = GivenDocument.safeParse(document);
    if (!parsed.success) throw new DocumentFault(z.prettifyError(parsed.error).replaceAll('\n', ' '));
    return parsed.data;
  });
  if (!wanted || !known) throw new DocumentFault('there is no document');
  const changed = firstDifference(withoutHeaders(known), withoutHeaders(wanted), 'DistributionConfig');
  if (changed !== undefined) throw new DocumentFault(`${changed} changes; only CustomHeaders of origins change here`);
  const headers = new Map(wanted.Origins.Items.Origin.map((origin) => [origin.Id, headersOf(origin)]));
  const origins = (config.Origins as readonly Json[]).map(({ OriginCustomHeaders: _, ...origin }) => {
    const list = headers.get(String(origin.Id)) ?? [];
    return list.length > 0 ? { ...origin, OriginCustomHeaders: list } : origin;
  });
  return { ...config, Origins: origins };
}

function headersOf({ Id, CustomHeaders }: z.infer<typeof GivenOrigin>) {
  const list = CustomHeaders?.Items?.OriginCustomHeader ?? [];
  if (CustomHeaders && CustomHeaders.Quantity !== list.length) {
    throw new DocumentFault(`origin ${Id}: Quantity is ${CustomHeaders.Quantity}, Items has ${list.length}`);
  }
  return list;
}

function withoutHeaders(document: z.infer<typeof GivenDocument>): Json {
  const origins = document.Origins.Items.Origin.map(({ CustomHeaders: _, ...origin }) => origin);
  return { ...document, Origins: origins };
}

/** Path of the first value that differs; text of white space alone is as good as none. */
function firstDifference(before: unknown, after: unknown, path: string): string | undefined {
  if (isDeepStrictEqual(before, after) || (isBlank(before) && isBlank(after))) return undefined;
  const objects = [before, after].every((value) => typeof value === 'object' && value !== null);
  if (!objects) return path;
  const names = [...new Set([before, after].flatMap((value) => Object.keys(value as Json)))];
  for (const name of names) {
    const found = firstDifference((before as Json)[name], (after as Json)[name], `${path}.${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isBlank(value: unknown): boolean {
  return value === undefined || (typeof value === 'string' && value.trim() === '');
}
