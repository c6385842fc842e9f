import { notImplemented } from './errors';
import { getBucketLocation, getBucketVersioning, headBucket } from './operations/bucket-info';
import type { OperationHandler } from './operations/context';
import { deleteObject, deleteObjects } from './operations/delete';
import { listObjectsV2, listObjectVersions } from './operations/list';
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listParts,
  uploadPart,
} from './operations/multipart';
import { getObject, headObject, RESPONSE_OVERRIDES } from './operations/read';
import { copyObject, putObject } from './operations/write';
import type { S3Request } from './request';

interface Route {
  readonly method: string;
  readonly level: 'bucket' | 'object';
  /** Query parameters that must be there, with this value unless it is `undefined`. */
  readonly requires: Readonly<Record<string, string | undefined>>;
  /** Query parameters that may be there. */
  readonly allows: readonly string[];
  readonly handler: OperationHandler;
}

const LISTING = ['prefix', 'delimiter', 'max-keys', 'encoding-type'];
const READING = ['versionId', ...Object.keys(RESPONSE_OVERRIDES)];
const PART = { partNumber: undefined, uploadId: undefined };
const UPLOAD = { uploadId: undefined };

const ROUTES: readonly Route[] = [
  { method: 'HEAD', level: 'bucket', requires: {}, allows: [], handler: headBucket },
  {
    method: 'GET',
    level: 'bucket',
    requires: { 'list-type': '2' },
    allows: [...LISTING, 'continuation-token', 'start-after', 'fetch-owner'],
    handler: listObjectsV2,
  },
  {
    method: 'GET',
    level: 'bucket',
    requires: { versions: undefined },
    allows: [...LISTING, 'key-marker', 'version-id-marker'],
    handler: listObjectVersions,
  },
  { method: 'GET', level: 'bucket', requires: { versioning: undefined }, allows: [], handler: getBucketVersioning },
  { method: 'GET', level: 'bucket', requires: { location: undefined }, allows: [], handler: getBucketLocation },
  { method: 'POST', level: 'bucket', requires: { delete: undefined }, allows: [], handler: deleteObjects },
  { method: 'GET', level: 'object', requires: {}, allows: READING, handler: getObject },
  { method: 'GET', level: 'object', requires: UPLOAD, allows: ['max-parts', 'part-number-marker'], handler: listParts },
  { method: 'HEAD', level: 'object', requires: {}, allows: READING, handler: headObject },
  { method: 'PUT', level: 'object', requires: {}, allows: [], handler: putOrCopy },
  { method: 'PUT', level: 'object', requires: PART, allows: [], handler: uploadPartFromBody },
  { method: 'DELETE', level: 'object', requires: {}, allows: ['versionId'], handler: deleteObject },
  { method: 'DELETE', level: 'object', requires: UPLOAD, allows: [], handler: abortMultipartUpload },
  { method: 'POST', level: 'object', requires: { uploads: undefined }, allows: [], handler: createMultipartUpload },
  { method: 'POST', level: 'object', requires: UPLOAD, allows: [], handler: completeMultipartUpload },
];

/** The SDK's own note of the operation; S3 ignores it. */
const SDK_OPERATION_PARAMETER = 'x-id';

/**
 * Finds the operation that a request means. A parameter that the operation does not know makes it another operation.
 * @throws S3Error NotImplemented (501) naming the operation
 */
export function route(request: S3Request): OperationHandler {
  const level = levelOf(request);
  const parameters = [...request.query.keys()].filter((name) => name !== SDK_OPERATION_PARAMETER);
  const found = ROUTES.find(
    (candidate) =>
      candidate.method === request.method && candidate.level === level && takes(candidate, request.query, parameters),
  );
  if (found === undefined) throw notImplemented(nameOperation(request, level, parameters));
  return found.handler;
}

function levelOf(request: S3Request): 'service' | 'bucket' | 'object' {
  if (request.bucket === undefined) return 'service';
  return request.key === undefined ? 'bucket' : 'object';
}

function takes(candidate: Route, query: URLSearchParams, parameters: readonly string[]): boolean {
  const required = Object.entries(candidate.requires);
  return (
    required.every(([name, value]) => query.has(name) && (value === undefined || query.get(name) === value)) &&
    parameters.every((name) => name in candidate.requires || candidate.allows.includes(name))
  );
}

function putOrCopy(...[request, context]: Parameters<OperationHandler>): ReturnType<OperationHandler> {
  return request.headers['x-amz-copy-source'] === undefined
    ? putObject(request, context)
    : copyObject(request, context);
}

function uploadPartFromBody(...[request, context]: Parameters<OperationHandler>): ReturnType<OperationHandler> {
  if (request.headers['x-amz-copy-source'] !== undefined) throw notImplemented('UploadPartCopy');
  return uploadPart(request, context);
}

/** Operations whose names do not follow from verb, level and subresource. */
const IRREGULAR_NAMES: Readonly<Record<string, string>> = {
  'GET service': 'ListBuckets',
  'PUT bucket': 'CreateBucket',
  'DELETE bucket': 'DeleteBucket',
  'GET bucket': 'ListObjects (version 1)',
  'GET bucket uploads': 'ListMultipartUploads',
  'POST object restore': 'RestoreObject',
  'POST object select': 'SelectObjectContent',
};

/** The name in the S3 API, e.g. `GetObjectTagging` for `GET /bucket/key?tagging`. */
function nameOperation(request: S3Request, level: string, parameters: readonly string[]): string {
  const named = request.query.get(SDK_OPERATION_PARAMETER);
  if (named !== null) return parameters.length === 0 ? named : `${named} with ${parameters.join(', ')}`;
  const [subresource] = parameters.filter((name) => request.query.get(name) === '');
  const irregular = IRREGULAR_NAMES[[request.method, level, ...(subresource ? [subresource] : [])].join(' ')];
  if (irregular !== undefined) return irregular;
  if (subresource === undefined) return `${request.method} on a ${level} with parameters [${parameters.join(', ')}]`;
  return `${capitalize(request.method.toLowerCase())}${capitalize(level)}${subresource.split('-').map(capitalize).join('')}`;
}

function capitalize(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
