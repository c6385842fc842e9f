import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { AwsApi, CallContext } from '../engine/types';
import { ServiceError } from './service-error';

export type JsonAction = (input: Readonly<Record<string, unknown>>, context: CallContext) => Promise<object> | object;

/** Asks whether the caller may perform an action of a JSON API. */
export type JsonAuthorization = (
  action: string,
  input: Readonly<Record<string, unknown>>,
  context: CallContext,
) => void;

/**
 * An API in the AWS JSON 1.1 protocol (smithy.io, "AWS JSON 1.1 protocol"): `X-Amz-Target` names the action. Actions
 * outside `actions` answer 501.
 *
 * @param authorize by default the caller needs the action on every resource.
 */
export function jsonApi(
  signingName: string,
  actions: Readonly<Record<string, JsonAction>>,
  authorize: JsonAuthorization = (action, _, context) => context.authorize(`${signingName}:${action}`, '*'),
): AwsApi {
  return {
    signingName,
    handle: async (request, response, context) => {
      try {
        const [, action = ''] = String(request.headers['x-amz-target'] ?? '').split('.');
        const perform = Object.hasOwn(actions, action) ? actions[action] : undefined;
        if (!perform) throw new ServiceError('NotImplemented', `${signingName} ${action} has no stand-in here`, 501);
        const input: unknown = JSON.parse((await text(request)) || '{}');
        if (typeof input !== 'object' || input === null)
          throw new ServiceError('SerializationException', 'the body must be an object');
        authorize(action, { ...input }, context);
        sendJson(response, 200, await perform({ ...input }, context));
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        sendJsonError(response, error);
      }
    },
  };
}

/** Answers JSON in the form of AWS's JSON protocols. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, {
    'content-type': 'application/x-amz-json-1.1',
    'x-amzn-requestid': randomUUID(),
    ...headers,
  });
  response.end(JSON.stringify(body));
}

/** Answers an error in the form of AWS's JSON protocols. */
export function sendJsonError(response: ServerResponse, error: ServiceError): void {
  sendJson(response, error.status, { __type: error.code, message: error.message }, { 'x-amzn-errortype': error.code });
}
