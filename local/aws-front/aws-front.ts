import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { XMLBuilder } from 'fast-xml-parser';
import { type LocalServer, serveLocally } from '../engine/http-server';
import type { AwsApi } from '../engine/types';
import { credentialScope } from './credential-scope';

const xml = new XMLBuilder({ format: false });

/** Services whose protocols carry errors as XML (smithy.io: REST-XML, of which S3 leaves out the wrapper, and Query). */
const XML_ERROR_SERVICES: Readonly<Record<string, (error: object) => object>> = {
  s3: (error) => ({ Error: error }),
  ...Object.fromEntries(
    ['cloudformation', 'cloudfront', 'elasticache', 'sns'].map((service) => [
      service,
      (error: object) => ({ ErrorResponse: { Error: error } }),
    ]),
  ),
};

export interface AwsFrontOptions {
  readonly account: string;
  readonly log: (line: string) => void;
  /** 0 takes any free port. */
  readonly port: number;
}

/**
 * The one AWS endpoint of this machine. The credential scope of each request says which service it is for, as AWS's own
 * edges trust it to; unsigned requests are 403, services nobody stands in for are 501.
 */
export class AwsFront {
  private readonly apis = new Map<string, AwsApi>();
  private server: LocalServer | undefined;

  private constructor(private readonly options: AwsFrontOptions) {}

  static async start(options: AwsFrontOptions): Promise<AwsFront> {
    const front = new AwsFront(options);
    front.server = await serveLocally((request, response) => void front.handle(request, response), options.port);
    return front;
  }

  get port(): number {
    if (!this.server) throw new Error('the AWS endpoint is not listening');
    return this.server.port;
  }

  /** Adds services; a second one under the same signing name is a mistake. */
  serve(...apis: readonly AwsApi[]): void {
    for (const api of apis) {
      if (this.apis.has(api.signingName)) throw new Error(`two stand-ins claim the AWS service ${api.signingName}`);
      this.apis.set(api.signingName, api);
    }
  }

  async close(): Promise<void> {
    await this.server?.close();
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const scope = credentialScope(request);
    if (!scope) {
      refuse(response, '', 403, 'MissingAuthenticationToken', 'sign the request with AWS Signature Version 4 or 4A');
      return;
    }
    const { service, region, accessKeyId } = scope;
    const api = this.apis.get(service);
    if (!api) {
      const known = [...this.apis.keys()].sort().join(', ');
      refuse(
        response,
        service,
        501,
        'NotImplemented',
        `no stand-in for the AWS service ${service}; there are: ${known}`,
      );
      return;
    }
    try {
      await api.handle(request, response, { region, accessKeyId, account: this.options.account });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.options.log(`${service} ${request.method} ${request.url}: ${message}`);
      if (response.headersSent) response.destroy();
      else refuse(response, service, 500, 'InternalFailure', message);
    }
  }
}

/** An error that no stand-in answers itself, in the form that the SDK clients of the service read. */
function refuse(response: ServerResponse, service: string, status: number, code: string, message: string): void {
  const asXml = XML_ERROR_SERVICES[service];
  response.writeHead(status, {
    'content-type': asXml ? 'application/xml' : 'application/json',
    'x-amzn-errortype': code,
    'x-amzn-requestid': randomUUID(),
  });
  const error = { Code: code, Message: message };
  response.end(asXml ? xml.build(asXml(error)) : JSON.stringify({ __type: code, code, message }));
}
