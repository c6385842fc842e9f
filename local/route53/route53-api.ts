import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { XMLBuilder, XMLParser } from 'fast-xml-parser';
import { z } from 'zod';
import { ServiceError } from '../aws-front/service-error';
import { Flag } from '../engine/properties';
import type { AwsApi } from '../engine/types';
import type { HealthChecks } from './health-checks';

const NAMESPACE = 'https://route53.amazonaws.com/doc/2013-04-01/';
const xml = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: '@', suppressEmptyNode: true });
const parser = new XMLParser({ ignoreAttributes: true, parseTagValue: false });

const UpdateRequest = z.object({
  UpdateHealthCheckRequest: z.strictObject({
    HealthCheckVersion: z.coerce.number().int().optional(),
    Disabled: Flag.optional(),
    Inverted: Flag.optional(),
  }),
});

/** `GetHealthCheck` and `UpdateHealthCheck` of the Route 53 API (REST XML); everything else answers 501. */
export function route53Api(checks: HealthChecks): AwsApi {
  return {
    signingName: 'route53',
    handle: async (request, response, context) => {
      const send = (status: number, root: string, content: object) => {
        response.writeHead(status, { 'content-type': 'text/xml' });
        response.end(xml.build({ [root]: { '@xmlns': NAMESPACE, ...content } }));
      };
      try {
        const id = healthCheckId(request);
        const action = request.method === 'GET' ? 'GetHealthCheck' : 'UpdateHealthCheck';
        context.authorize(`route53:${action}`, `arn:aws:route53:::healthcheck/${id}`);
        if (request.method === 'GET') {
          send(200, 'GetHealthCheckResponse', { HealthCheck: described(checks, id) });
          return;
        }
        const change = readUpdate(await text(request));
        checks.update(id, change);
        send(200, 'UpdateHealthCheckResponse', { HealthCheck: described(checks, id) });
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        const Type = error.status < 500 ? 'Sender' : 'Receiver';
        send(error.status, 'ErrorResponse', { Error: { Type, Code: error.code, Message: error.message } });
      }
    },
  };
}

function healthCheckId({ method, url = '/' }: IncomingMessage): string {
  const { pathname } = new URL(url, 'http://localhost');
  const [, id] = /^\/2013-04-01\/healthcheck\/([^/]+)$/.exec(pathname) ?? [];
  if (id && (method === 'GET' || method === 'POST')) return decodeURIComponent(id);
  throw new ServiceError('NotImplemented', `route53 ${method} ${pathname} has no stand-in here`, 501);
}

function readUpdate(body: string) {
  const parsed = UpdateRequest.safeParse(parser.parse(body));
  if (!parsed.success) throw new ServiceError('InvalidInput', z.prettifyError(parsed.error));
  const { HealthCheckVersion, Disabled, Inverted } = parsed.data.UpdateHealthCheckRequest;
  return {
    ...(HealthCheckVersion === undefined ? {} : { version: HealthCheckVersion }),
    ...(Disabled === undefined ? {} : { disabled: Disabled }),
    ...(Inverted === undefined ? {} : { inverted: Inverted }),
  };
}

function described(checks: HealthChecks, id: string): object {
  const { config, version } = checks.get(id);
  const { Type, Inverted, Disabled } = config;
  return { Id: id, CallerReference: id, HealthCheckConfig: { Type, Inverted, Disabled }, HealthCheckVersion: version };
}
