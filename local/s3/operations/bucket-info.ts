import type { Answer, S3Request } from '../request';
import { requestBucket, type S3Context, xmlAnswer } from './context';

export function headBucket(request: S3Request, context: S3Context): Answer {
  const bucket = requestBucket(request, context);
  return {
    status: 200,
    headers: { 'x-amz-bucket-region': bucket.region, 'x-amz-access-point-alias': 'false' },
  };
}

export function getBucketVersioning(request: S3Request, context: S3Context): Answer {
  const { versioning } = requestBucket(request, context);
  return xmlAnswer('VersioningConfiguration', versioning === 'Disabled' ? {} : { Status: versioning });
}

/** S3 writes the oldest region as an empty constraint. */
export function getBucketLocation(request: S3Request, context: S3Context): Answer {
  const { region } = requestBucket(request, context);
  return xmlAnswer('LocationConstraint', region === 'us-east-1' ? {} : { '#text': region });
}
