import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { XMLBuilder } from 'fast-xml-parser';
import type { AwsApi, CallContext } from '../engine/types';
import { ServiceError } from './service-error';

/** Parameters of a call in the AWS Query protocol, as flat as they were sent (`Entries.member.1.Id`). */
export class QueryParameters {
  constructor(private readonly form: URLSearchParams) {}

  optional(name: string): string | undefined {
    return this.form.get(name) ?? undefined;
  }

  required(name: string): string {
    const value = this.form.get(name);
    if (value === null || value === '') throw new ServiceError('MissingParameter', `the parameter ${name} is required`);
    return value;
  }

  /** Prefixes of a list's items in order: `Entries.member.1`, `Entries.member.2`, ... */
  items(list: string): string[] {
    const indexes = [...this.form.keys()].flatMap((key) => {
      const index = key.startsWith(`${list}.`) ? /^(\d+)(\.|$)/.exec(key.slice(list.length + 1))?.[1] : undefined;
      return index === undefined ? [] : [Number(index)];
    });
    return [...new Set(indexes)].sort((a, b) => a - b).map((index) => `${list}.${index}`);
  }
}

/** One action's answer: the content of `<ActionResult>`. An array repeats its element. */
export type QueryAction = (parameters: QueryParameters, context: CallContext) => Promise<object> | object;

const xml = new XMLBuilder({ format: false, suppressEmptyNode: true });

/** Asks whether the caller may perform an action of a Query API. */
export type QueryAuthorization = (action: string, parameters: QueryParameters, context: CallContext) => void;

/**
 * An API in the AWS Query protocol (smithy.io, "AWS Query protocol"): form-encoded requests that name an `Action`, XML
 * answers. Actions outside `actions` answer 501.
 *
 * @param authorize by default the caller needs the action on every resource.
 */
export function queryApi(
  signingName: string,
  actions: Readonly<Record<string, QueryAction>>,
  authorize: QueryAuthorization = (action, _, context) => context.authorize(`${signingName}:${action}`, '*'),
): AwsApi {
  return {
    signingName,
    handle: async (request, response, context) => {
      const send = (status: number, body: object) => {
        response.writeHead(status, { 'content-type': 'text/xml' });
        response.end(xml.build(body));
      };
      try {
        const parameters = new QueryParameters(new URLSearchParams(await text(request)));
        const action = parameters.required('Action');
        const perform = Object.hasOwn(actions, action) ? actions[action] : undefined;
        if (!perform) throw new ServiceError('NotImplemented', `${signingName} ${action} has no stand-in here`, 501);
        authorize(action, parameters, context);
        const result = await perform(parameters, context);
        send(200, {
          [`${action}Response`]: {
            [`${action}Result`]: result,
            ResponseMetadata: { RequestId: randomUUID() },
          },
        });
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        const Type = error.status < 500 ? 'Sender' : 'Receiver';
        send(error.status, {
          ErrorResponse: { Error: { Type, Code: error.code, Message: error.message }, RequestId: randomUUID() },
        });
      }
    },
  };
}
