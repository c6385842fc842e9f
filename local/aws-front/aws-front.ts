import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { XMLBuilder } from 'fast-xml-parser';
import type { SecurityGroups } from '../ec2/security-groups';
import { type LocalServer, serveLocally } from '../engine/http-server';
import type { AwsApi, CallContext } from '../engine/types';
import { accessDenied, type Caller, type IamStandIn } from '../iam/iam-stand-in';
import { type CredentialScope, credentialScope } from './credential-scope';

const xml = new XMLBuilder({ format: false });

/** Services whose protocols carry errors as XML (smithy.io: REST-XML, of which S3 leaves out the wrapper, and Query). */
const XML_ERROR_SERVICES: Readonly<Record<string, (error: object) => object>> = {
  s3: (error) => ({ Error: error }),
  ...Object.fromEntries(
    ['cloudformation', 'cloudfront', 'elasticache', 'elasticloadbalancing', 'route53', 'sns'].map((service) => [
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
  readonly iam: IamStandIn;
  readonly securityGroups: SecurityGroups;
}

const HTTPS_PORT = 443;

/**
 * The one AWS endpoint of this machine. The credential scope of each request says which service it is for, as AWS's own
 * edges trust it to. The access key says who calls: a process whose security groups do not let it out gets no answer,
 * and what its role may not do is denied. Requests that are unsigned, or signed with a key that was not issued here, are
 * 403, services nobody stands in for are 501.
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
    const { service } = scope;
    const caller = this.options.iam.callerOf(scope.accessKeyId);
    if (!caller) {
      const code = service === 's3' ? 'InvalidAccessKeyId' : 'InvalidClientTokenId';
      refuse(response, service, 403, code, `the access key ${scope.accessKeyId} was not issued on this machine`);
      return;
    }
    if (!this.reaches(caller, service)) return;
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
      await api.handle(request, response, this.context(scope, caller));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.options.log(`${service} ${request.method} ${request.url}: ${message}`);
      if (response.headersSent) response.destroy();
      else refuse(response, service, 500, 'InternalFailure', message);
    }
  }

  /** Whether the caller's security groups let it out to AWS; if not, its request is left without an answer. */
  private reaches({ network }: Caller, service: string): boolean {
    if (!network) return true;
    const from = { kind: 'interface', interface: network } as const;
    return this.options.securityGroups.permits(from, { kind: 'internet', name: `AWS ${service}` }, HTTPS_PORT);
  }

  private context({ service, region, accessKeyId }: CredentialScope, { principal }: Caller): CallContext {
    const { account, iam } = this.options;
    return {
      ...{ region, accessKeyId, account },
      authorize: (action, resource, more = {}) => {
        const context = { 'aws:requestedregion': region, ...more.context };
        const sentence = iam.refusal(principal, { action, resource, ...more, context });
        if (sentence) throw accessDenied(service, sentence);
      },
    };
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
