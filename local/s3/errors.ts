import type { OutgoingHttpHeaders } from 'node:http';

/** An error as S3 answers it. Codes and statuses: Amazon S3 API Reference, "Error responses". */
export class S3Error extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
    message: string,
    /** Further elements of the XML document, e.g. `Key`. */
    readonly details: Readonly<Record<string, string>> = {},
    readonly headers: OutgoingHttpHeaders = {},
  ) {
    super(message);
    this.name = 'S3Error';
  }
}

/** 501 for an operation or an option that this stand-in does not have. `what` names it as the S3 API does. */
export function notImplemented(what: string): S3Error {
  return new S3Error('NotImplemented', 501, `The local S3 does not implement ${what}.`);
}

export function invalidArgument(name: string, value: string, expected: string): S3Error {
  return new S3Error('InvalidArgument', 400, `${name} is "${value}"; it must be ${expected}.`, {
    ArgumentName: name,
    ArgumentValue: value,
  });
}

export function invalidRequest(message: string): S3Error {
  return new S3Error('InvalidRequest', 400, message);
}

export function malformedXml(reason: string): S3Error {
  return new S3Error(
    'MalformedXML',
    400,
    `The XML you provided was not well-formed or did not validate against our published schema: ${reason}`,
  );
}

export function accessDenied(): S3Error {
  return new S3Error('AccessDenied', 403, 'Access Denied');
}

export function noSuchBucket(bucket: string): S3Error {
  return new S3Error('NoSuchBucket', 404, 'The specified bucket does not exist', { BucketName: bucket });
}

export function noSuchKey(key: string, headers: OutgoingHttpHeaders = {}): S3Error {
  return new S3Error('NoSuchKey', 404, 'The specified key does not exist.', { Key: key }, headers);
}

export function noSuchVersion(key: string, versionId: string): S3Error {
  return new S3Error('NoSuchVersion', 404, 'The specified version does not exist.', { Key: key, VersionId: versionId });
}

export function noSuchUpload(uploadId: string): S3Error {
  return new S3Error(
    'NoSuchUpload',
    404,
    'The specified multipart upload does not exist. The upload ID might be invalid, or the multipart upload might have been aborted or completed.',
    { UploadId: uploadId },
  );
}

export function preconditionFailed(condition: string): S3Error {
  return new S3Error('PreconditionFailed', 412, 'At least one of the pre-conditions you specified did not hold', {
    Condition: condition,
  });
}

export function conditionalRequestConflict(key: string): S3Error {
  return new S3Error(
    'ConditionalRequestConflict',
    409,
    'The conditional request cannot succeed due to a conflicting operation against this resource.',
    { Key: key },
  );
}

export function badDigest(message: string): S3Error {
  return new S3Error('BadDigest', 400, message);
}

/** Turns whatever was thrown into S3's answer; a full disk and other faults of the machine become InternalError. */
export function toS3Error(thrown: unknown): S3Error {
  if (thrown instanceof S3Error) return thrown;
  const code = errorCode(thrown);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new S3Error(
      'InternalError',
      500,
      `The disk that holds the local S3 is full (${code}); nothing of this request was stored. Free some space and try again.`,
    );
  }
  return new S3Error('InternalError', 500, thrown instanceof Error ? thrown.message : String(thrown));
}

/** The machine's name of a failure, e.g. `ENOENT`; `undefined` where there is none. */
export function errorCode(thrown: unknown): string | undefined {
  return typeof thrown === 'object' && thrown !== null && 'code' in thrown ? String(thrown.code) : undefined;
}
