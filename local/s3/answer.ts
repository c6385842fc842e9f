import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { S3Error } from './errors';
import type { Answer } from './request';
import { errorXml } from './xml';

/** S3's answer to a failed request; HEAD answers carry no document. */
export function errorAnswer(error: S3Error, method: string, resource: string): Answer {
  const headers = Object.fromEntries(Object.entries(error.headers).map(([name, value]) => [name, String(value)]));
  if (method === 'HEAD') return { status: error.status, headers };
  const body = errorXml({ Code: error.code, Message: error.message, ...error.details, Resource: resource });
  return { status: error.status, headers: { 'content-type': 'application/xml', ...headers }, body };
}

/**
 * Sends an answer over HTTP. A body that fails half way cuts the connection, so that no reader takes it for whole; a
 * reader that goes away ends the body.
 */
export async function sendAnswer(response: ServerResponse, answer: Answer): Promise<void> {
  const { status, body } = answer;
  response.writeHead(status, {
    'x-amz-request-id': randomBytes(8).toString('hex').toUpperCase(),
    server: 'AmazonS3',
    ...answer.headers,
    ...(typeof body === 'string' ? { 'content-length': String(Buffer.byteLength(body)) } : {}),
  });
  if (!(body instanceof Readable)) {
    response.end(body);
    return;
  }
  try {
    await pipeline(body, response);
  } catch (error) {
    response.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}
