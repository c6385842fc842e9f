import { text } from 'node:stream/consumers';
import { sendJsonError } from '../aws-front/json-protocol';
import { ServiceError } from '../aws-front/service-error';
import type { AwsApi } from '../engine/types';
import type { LambdaFunction } from './lambda-function';

/** Largest payload of a synchronous invocation, bytes (Lambda quotas). */
const MAX_SYNC_PAYLOAD = 6 * 1024 * 1024;

/** `Invoke` of the Lambda API (REST-JSON): `RequestResponse`, `Event` and `DryRun`; everything else answers 501. */
export function lambdaApi(find: (nameOrArn: string, region: string) => LambdaFunction | undefined): AwsApi {
  return {
    signingName: 'lambda',
    handle: async (request, response, context) => {
      try {
        const { pathname } = new URL(request.url ?? '/', 'http://localhost');
        const [, encoded] = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/.exec(pathname) ?? [];
        if (!encoded || request.method !== 'POST') {
          throw new ServiceError('NotImplemented', `lambda ${request.method} ${pathname} has no stand-in here`, 501);
        }
        const name = decodeURIComponent(encoded);
        const { region, account } = context;
        const lambda = find(name, region);
        const arn = lambda?.options.arn ?? `arn:aws:lambda:${region}:${account}:function:${name}`;
        context.authorize('lambda:InvokeFunction', arn);
        if (!lambda)
          throw new ServiceError('ResourceNotFoundException', `Function not found: ${name} in ${region}`, 404);
        const payload = checkedPayload(await text(request));
        const type = request.headers['x-amz-invocation-type'] ?? 'RequestResponse';
        if (type === 'DryRun') {
          response.writeHead(204).end();
        } else if (type === 'Event') {
          lambda.invokeLater(payload);
          response.writeHead(202).end();
        } else {
          const result = await lambda.invoke(payload);
          response.writeHead(200, {
            'content-type': 'application/json',
            'x-amz-executed-version': '$LATEST',
            ...(result.functionError ? { 'x-amz-function-error': 'Unhandled' } : {}),
          });
          response.end(result.payload);
        }
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        sendJsonError(response, error);
      }
    },
  };
}

function checkedPayload(body: string): string {
  const payload = body === '' ? '{}' : body;
  if (Buffer.byteLength(payload) > MAX_SYNC_PAYLOAD) {
    throw new ServiceError('RequestTooLargeException', `the payload is over ${MAX_SYNC_PAYLOAD} bytes`, 413);
  }
  try {
    JSON.parse(payload);
  } catch {
    throw new ServiceError('InvalidRequestContentException', 'Could not parse request body into json');
  }
  return payload;
}
