import { bucketArn } from './bucket';
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
import { decodeOrRefuse, header, type S3Request, splitTarget } from './request';

interface Route {
  readonly method: string;
  readonly level: 'bucket' | 'object';
  /** Query parameters that must be there, with this value unless it is `undefined`. */
  readonly requires: Readonly<Record<string, string | undefined>>;
  /** Query parameters that may be there. */
  readonly allows: readonly string[];
  readonly handler: OperationHandler;
  /** IAM action that the caller needs; of a version where the request names one. */
  readonly action: string;
  readonly versionAction?: string;
}

/** The operation that a request means. */
export interface Operation {
  readonly handler: OperationHandler;
  /** IAM actions that the caller needs, each with the ARN of its resource. */
  readonly access: readonly { readonly action: string; readonly resource: string }[];
}

const LISTING = ['prefix', 'delimiter', 'max-keys', 'encoding-type'];
const READING = ['versionId', ...Object.keys(RESPONSE_OVERRIDES)];
const READ = { action: 's3:GetObject', versionAction: 's3:GetObjectVersion' };
const PART = { partNumber: undefined, uploadId: undefined };
const UPLOAD = { uploadId: undefined };

const ROUTES: readonly Route[] = [
  { method: 'HEAD', level: 'bucket', requires: {}, allows: [], handler: headBucket, action: 's3:ListBucket' },
  {
    method: 'GET',
    level: 'bucket',
    requires: { 'list-type': '2' },
    allows: [...LISTING, 'continuation-token', 'start-after', 'fetch-owner'],
    handler: listObjectsV2,
    action: 's3:ListBucket',
  },
  {
    method: 'GET',
    level: 'bucket',
    requires: { versions: undefined },
    allows: [...LISTING, 'key-marker', 'version-id-marker'],
    handler: listObjectVersions,
    action: 's3:ListBucketVersions',
  },
  {
    method: 'GET',
    level: 'bucket',
    requires: { versioning: undefined },
    allows: [],
    handler: getBucketVersioning,
    action: 's3:GetBucketVersioning',
  },
  {
    method: 'GET',
    level: 'bucket',
    requires: { location: undefined },
    allows: [],
    handler: getBucketLocation,
    action: 's3:GetBucketLocation',
  },
  {
    method: 'POST',
    level: 'bucket',
    requires: { delete: undefined },
    allows: [],
    handler: deleteObjects,
    action: 's3:DeleteObject',
  },
  { method: 'GET', level: 'object', requires: {}, allows: READING, handler: getObject, ...READ },
  {
    method: 'GET',
    level: 'object',
    requires: UPLOAD,
    allows: ['max-parts', 'part-number-marker'],
    handler: listParts,
    action: 's3:ListMultipartUploadParts',
  },
  { method: 'HEAD', level: 'object', requires: {}, allows: READING, handler: headObject, ...READ },
  { method: 'PUT', level: 'object', requires: {}, allows: [], handler: putOrCopy, action: 's3:PutObject' },
  { method: 'PUT', level: 'object', requires: PART, allows: [], handler: uploadPartFromBody, action: 's3:PutObject' },
  {
    method: 'DELETE',
    level: 'object',
    requires: {},
    allows: ['versionId'],
    handler: deleteObject,
    action: 's3:DeleteObject',
    versionAction: 's3:DeleteObjectVersion',
  },
  {
    method: 'DELETE',
    level: 'object',
    requires: UPLOAD,
    allows: [],
    handler: abortMultipartUpload,
    action: 's3:AbortMultipartUpload',
  },
  {
    method: 'POST',
    level: 'object',
    requires: { uploads: undefined },
    allows: [],
    handler: createMultipartUpload,
    action: 's3:PutObject',
  },
  {
    method: 'POST',
    level: 'object',
    requires: UPLOAD,
    allows: [],
    handler: completeMultipartUpload,
    action: 's3:PutObject',
  },
];

/** The SDK's own note of the operation; S3 ignores it. */
const SDK_OPERATION_PARAMETER = 'x-id';

/**
 * Finds the operation that a request means. A parameter that the operation does not know makes it another operation.
 * @throws S3Error NotImplemented (501) naming the operation
 */
export function route(request: S3Request): Operation {
  const level = levelOf(request);
  const parameters = [...request.query.keys()].filter((name) => name !== SDK_OPERATION_PARAMETER);
  const found = ROUTES.find(
    (candidate) =>
      candidate.method === request.method && candidate.level === level && takes(candidate, request.query, parameters),
  );
  if (found === undefined) throw notImplemented(nameOperation(request, level, parameters));
  return { handler: found.handler, access: accessOf(found, request) };
}

function accessOf({ handler, action, versionAction }: Route, request: S3Request): Operation['access'] {
  const bucket = bucketArn(request.bucket ?? '');
  const wanted = request.query.has('versionId') ? (versionAction ?? action) : action;
  const source = header(request.headers, 'x-amz-copy-source');
  // DeleteObjects names its keys in the body: who may not delete every key of the bucket is refused as a whole.
  const key = handler === deleteObjects ? '*' : request.key;
  return [
    { action: wanted, resource: key === undefined ? bucket : `${bucket}/${key}` },
    ...(source === undefined ? [] : [{ action: 's3:GetObject', resource: bucketArn(copiedFrom(source)) }]),
  ];
}

/** `bucket/key` of a copy's source. */
function copiedFrom(source: string): string {
  return decodeOrRefuse(splitTarget(source).path.replace(/^\//, ''));
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
