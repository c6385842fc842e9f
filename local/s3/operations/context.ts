import type { Bucket } from '../bucket';
import type { BucketRegistry } from '../bucket-registry';
import type { Clock } from '../clock';
import { accessDenied, invalidRequest } from '../errors';
import type { MultipartUploads } from '../multipart-uploads';
import { type Answer, header, type S3Request } from '../request';
import { resultXml } from '../xml';

/** What operations work on. */
export interface S3Context {
  readonly account: string;
  readonly buckets: BucketRegistry;
  readonly uploads: MultipartUploads;
  readonly clock: Clock;
}

/** One operation of the S3 API. */
export type OperationHandler = (request: S3Request, context: S3Context) => Promise<Answer> | Answer;

/** The bucket that a request addresses, in the request's region. */
export function requestBucket(request: S3Request, context: S3Context): Bucket {
  const owner = header(request.headers, 'x-amz-expected-bucket-owner');
  if (owner !== undefined && owner !== context.account) throw accessDenied();
  if (request.bucket === undefined) throw invalidRequest('The request names no bucket.');
  return context.buckets.resolve(request.bucket, request.region);
}

export function requestKey(request: S3Request): string {
  if (request.key === undefined) throw invalidRequest('The request names no key.');
  return request.key;
}

/** Value of a query parameter, `undefined` when it is not there. */
export function queryValue(request: S3Request, name: string): string | undefined {
  return request.query.get(name) ?? undefined;
}

/** Answers 200 with an XML document. */
export function xmlAnswer(
  root: string,
  members: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return { status: 200, headers: { 'content-type': 'application/xml', ...headers }, body: resultXml(root, members) };
}
