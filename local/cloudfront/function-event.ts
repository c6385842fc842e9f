import { z } from 'zod';
import type { EdgeRequest } from './cache-key';
import type { DistributionIdentity } from './distribution';
import { EdgeFunctionError } from './edge-function';
import type { Headers } from './headers';

/**
 * The event of a viewer-request function, and what it may return.
 * Sources: CloudFront developer guide, "CloudFront Functions event structure", "Restrictions on edge functions".
 */

const Field = z.object({ value: z.string(), multiValue: z.array(z.object({ value: z.string() })).optional() });
const Fields = z.record(z.string(), Field);
type Fields = z.output<typeof Fields>;

const ReturnedRequest = z.object({
  method: z.string(),
  uri: z.string().startsWith('/', 'uri must start with /'),
  querystring: z.union([Fields, z.string()]).default({}),
  headers: Fields.default({}),
  cookies: Fields.default({}),
});

const ReturnedResponse = z.object({
  statusCode: z.number().int().min(100).max(599),
  statusDescription: z.string().optional(),
  headers: Fields.default({}),
  cookies: z.record(z.string(), Field.extend({ attributes: z.string().optional() })).default({}),
  body: z
    .union([
      z.string().transform((data) => Buffer.from(data)),
      z
        .object({ encoding: z.enum(['text', 'base64']), data: z.string() })
        .transform(({ encoding, data }) => Buffer.from(data, encoding === 'text' ? 'utf8' : 'base64')),
    ])
    .optional(),
});

/** An answer that a function gave instead of a request. */
export interface FunctionResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** Fields that a viewer-request function sees and must leave as they are. */
const READ_ONLY = ['content-length', 'host', 'transfer-encoding', 'via'];

/** Fields that a function can neither see nor set. */
const FORBIDDEN =
  /^(connection|expect|keep-alive|proxy-authenticate|proxy-authorization|proxy-connection|trailer|upgrade|x-accel-.*|x-amz-cf-.*|x-amzn-.*|x-amz-server-side-.*|x-cache.*|x-edge-.*|x-forwarded-proto|x-real-ip)$/;

/** The event object, version 1.0, with names in lower case and values as they stand in the request, not URL-decoded. */
export function viewerRequestEvent(
  distribution: DistributionIdentity,
  request: EdgeRequest,
  viewerIp: string,
  requestId: string,
): object {
  const visible = [...request.headers].filter(([name]) => !FORBIDDEN.test(name));
  return {
    version: '1.0',
    context: {
      distributionDomainName: distribution.domainName,
      distributionId: distribution.id,
      eventType: 'viewer-request',
      requestId,
    },
    viewer: { ip: viewerIp },
    request: {
      method: request.method,
      uri: request.uri,
      querystring: fieldsOf(request.query === '' ? [] : request.query.split('&').map(splitPair)),
      headers: fieldsOf(visible.flatMap(([name, values]) => values.map((value): [string, string] => [name, value]))),
      cookies: fieldsOf(request.cookies.map(splitPair)),
    },
  };
}

/**
 * Reads what a function returned: a request to go on with, or a response.
 *
 * @throws EdgeFunctionError FunctionValidationError when CloudFront would refuse it.
 */
export function functionResult(returned: unknown, original: EdgeRequest): EdgeRequest | FunctionResponse {
  if (typeof returned === 'object' && returned !== null && 'statusCode' in returned) {
    return responseOf(parse(ReturnedResponse, returned));
  }
  const request = parse(ReturnedRequest, returned);
  if (request.method !== original.method)
    throw invalid(`it changed the method ${original.method} to ${request.method}`);
  return {
    method: request.method,
    uri: request.uri,
    query: queryOf(request.querystring, original.query),
    headers: requestHeaders(request.headers, original.headers),
    cookies: pairsOf(request.cookies).map(([name, value]) => `${name}=${value}`),
  };
}

function requestHeaders(fields: Fields, original: Headers): Headers {
  const headers = headersOf(fields);
  for (const name of headers.keys()) {
    if (FORBIDDEN.test(name)) throw invalid(`it set the header ${name}`);
  }
  for (const name of READ_ONLY) {
    if (String(headers.get(name) ?? '') !== String(original.get(name) ?? ''))
      throw invalid(`it changed the header ${name}`);
  }
  for (const [name, values] of original) if (FORBIDDEN.test(name)) headers.set(name, values);
  return headers;
}

/** A query that the function left alone keeps its exact text; one that it made is written out. */
function queryOf(returned: Fields | string, original: string): string {
  if (typeof returned === 'string') return returned;
  const untouched = fieldsOf(original === '' ? [] : original.split('&').map(splitPair));
  if (JSON.stringify(untouched) === JSON.stringify(returned)) return original;
  return pairsOf(returned)
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
    .join('&');
}

function responseOf(response: z.output<typeof ReturnedResponse>): FunctionResponse {
  const headers = headersOf(response.headers);
  for (const name of headers.keys()) if (FORBIDDEN.test(name)) throw invalid(`its response sets the header ${name}`);
  const cookies = Object.entries(response.cookies).map(([name, { value, attributes }]) =>
    attributes === undefined ? `${name}=${value}` : `${name}=${value}; ${attributes}`,
  );
  if (cookies.length > 0) headers.set('set-cookie', cookies);
  return { status: response.statusCode, headers, body: response.body ?? Buffer.alloc(0) };
}

function fieldsOf(pairs: readonly (readonly [string, string])[]): Fields {
  const fields: Fields = {};
  for (const [name, value] of pairs) {
    const known = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (!known) fields[name] = { value };
    else known.multiValue = [...(known.multiValue ?? [{ value: known.value }]), { value }];
  }
  return fields;
}

function pairsOf(fields: Fields): [string, string][] {
  return Object.entries(fields).flatMap(([name, field]) =>
    (field.multiValue ?? [field]).map(({ value }): [string, string] => [name, value]),
  );
}

function headersOf(fields: Fields): Headers {
  return new Map(
    Object.entries(fields).map(([name, field]) => {
      if (name !== name.toLowerCase()) throw invalid(`the header name ${name} is not in lower case`);
      return [name, (field.multiValue ?? [field]).map(({ value }) => value)];
    }),
  );
}

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=');
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error).replaceAll('\n', ' '));
  return parsed.data;
}

function invalid(reason: string): EdgeFunctionError {
  return new EdgeFunctionError('FunctionValidationError', `the function's result is invalid: ${reason}`);
}
