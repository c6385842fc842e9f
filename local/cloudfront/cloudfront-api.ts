import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { XMLBuilder, XMLParser } from 'fast-xml-parser';
import { z } from 'zod';
import { ServiceError } from '../aws-front/service-error';
import type { AwsApi, CallContext } from '../engine/types';
import { apiDocument, DocumentFault, withCustomHeaders } from './distribution-document';
import type { DistributionEdge } from './distribution-edge';
import type { Invalidation } from './invalidations';
import type { KeyValueStore } from './key-value-store';

export interface CloudFrontApiOptions {
  distribution(id: string): DistributionEdge | undefined;
  /** Gives a distribution a configuration in CloudFormation's words. @throws what CloudFront would refuse */
  configure(id: string, config: Readonly<Record<string, unknown>>): void;
  keyValueStore(name: string): KeyValueStore | undefined;
}

/** IAM action of each route. */
const ACTIONS: Readonly<Record<string, string>> = {
  'GET distribution': 'GetDistribution',
  'GET distribution/config': 'GetDistributionConfig',
  'PUT distribution/config': 'UpdateDistribution',
  'POST distribution/invalidation': 'CreateInvalidation',
  'GET distribution/invalidation/id': 'GetInvalidation',
  'GET distribution/invalidation': 'ListInvalidations',
  'GET key-value-store': 'DescribeKeyValueStore',
};

const NAMESPACE = 'http://cloudfront.amazonaws.com/doc/2020-05-31/';
const parser = new XMLParser({ ignoreAttributes: true, parseTagValue: false, isArray: (name) => name === 'Path' });
const builder = new XMLBuilder({ ignoreAttributes: false, format: false });

const BatchDocument = z.object({
  InvalidationBatch: z.object({
    CallerReference: z.string().min(1),
    Paths: z.object({ Quantity: z.coerce.number(), Items: z.object({ Path: z.array(z.string()) }) }),
  }),
});

/**
 * The CloudFront API (REST XML, version 2020-05-31), as far as operators use it: invalidations, distributions and the
 * ETag of a key value store. All else answers 501.
 */
export function cloudFrontApi(options: CloudFrontApiOptions): AwsApi {
  return {
    signingName: 'cloudfront',
    async handle(request, response, context) {
      try {
        await dispatch(request, response, context, options);
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        const Type = error.status < 500 ? 'Sender' : 'Receiver';
        const content = { Error: { Type, Code: error.code, Message: error.message }, RequestId: randomUUID() };
        send(response, error.status, 'ErrorResponse', content);
      }
    },
  };
}

async function dispatch(
  request: IncomingMessage,
  response: ServerResponse,
  context: CallContext,
  options: CloudFrontApiOptions,
): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  const [version, resource, name = '', part, id, ...rest] = pathname.slice(1).split('/').map(decodeURIComponent);
  const known = version === '2020-05-31' && name !== '' && rest.length === 0;
  const route = known ? `${request.method} ${resource}${part ? `/${part}` : ''}${id ? '/id' : ''}` : '';
  const action = ACTIONS[route];
  if (action) context.authorize(`cloudfront:${action}`, arnOf(resource ?? '', name, context, options));
  switch (route) {
    case 'GET distribution':
      return sendDistribution(response, distributionOf(options, name));
    case 'GET distribution/config': {
      const edge = distributionOf(options, name);
      return send(response, 200, 'DistributionConfig', documentOf(edge), { etag: edge.etag });
    }
    case 'PUT distribution/config': {
      const edge = distributionOf(options, name);
      updateDistribution(edge, request.headers['if-match'], await text(request), options);
      return sendDistribution(response, edge);
    }
    case 'POST distribution/invalidation': {
      const edge = distributionOf(options, name);
      const invalidation = createInvalidation(edge, await text(request));
      const location = `https://cloudfront.amazonaws.com${pathname}/${invalidation.id}`;
      return send(response, 201, 'Invalidation', describe(invalidation), { location });
    }
    case 'GET distribution/invalidation/id': {
      const invalidation = distributionOf(options, name).invalidations.find(id ?? '');
      if (!invalidation) throw new ServiceError('NoSuchInvalidation', `there is no invalidation ${id}`, 404);
      return send(response, 200, 'Invalidation', describe(invalidation));
    }
    case 'GET distribution/invalidation':
      return send(response, 200, 'InvalidationList', list(distributionOf(options, name).invalidations.newestFirst()));
    case 'GET key-value-store': {
      const store = options.keyValueStore(name);
      if (!store) throw new ServiceError('EntityNotFound', `there is no key value store named ${name}`, 404);
      return send(response, 200, 'KeyValueStore', describeStore(store), { etag: store.etag });
    }
    default:
      throw new ServiceError('NotImplemented', `${request.method} ${pathname} has no stand-in here`, 501);
  }
}

function arnOf(resource: string, name: string, { account }: CallContext, options: CloudFrontApiOptions): string {
  if (resource === 'distribution') return `arn:aws:cloudfront::${account}:distribution/${name}`;
  return options.keyValueStore(name)?.arn ?? `arn:aws:cloudfront::${account}:key-value-store/${name}`;
}

function distributionOf(options: CloudFrontApiOptions, id: string): DistributionEdge {
  const edge = options.distribution(id);
  if (!edge) throw new ServiceError('NoSuchDistribution', `there is no distribution ${id}`, 404);
  return edge;
}

function createInvalidation(edge: DistributionEdge, body: string): Invalidation {
  const parsed = BatchDocument.safeParse(parser.parse(body));
  if (!parsed.success) throw new ServiceError('MalformedInput', z.prettifyError(parsed.error));
  const { CallerReference, Paths } = parsed.data.InvalidationBatch;
  const items = Paths.Items.Path;
  if (Paths.Quantity !== items.length) {
    throw new ServiceError('InconsistentQuantities', `Quantity is ${Paths.Quantity}, Items has ${items.length}`);
  }
  const usesTags = items.some((item) => item.startsWith('#'));
  if (usesTags && !edge.distribution.config.CacheTagConfig) {
    throw new ServiceError(
      'InvalidArgument',
      `distribution ${edge.distribution.id} has no CacheTagConfig to invalidate tags by`,
    );
  }
  return edge.invalidations.create(CallerReference, items);
}

/** Here an invalidation is complete before its answer is written. */
function describe(invalidation: Invalidation): object {
  return {
    Id: invalidation.id,
    Status: 'Completed',
    CreateTime: invalidation.createTime.toISOString(),
    InvalidationBatch: {
      CallerReference: invalidation.callerReference,
      Paths: { Quantity: invalidation.items.length, Items: { Path: invalidation.items } },
    },
  };
}

function list(invalidations: readonly Invalidation[]): object {
  const summaries = invalidations.map(({ id, createTime }) => ({
    Id: id,
    Status: 'Completed',
    CreateTime: createTime.toISOString(),
  }));
  return {
    Marker: '',
    MaxItems: Math.max(100, summaries.length),
    IsTruncated: false,
    Quantity: summaries.length,
    ...(summaries.length > 0 ? { Items: { InvalidationSummary: summaries } } : {}),
  };
}

/** @param ifMatch the ETag of the configuration that the caller has read */
function updateDistribution(
  edge: DistributionEdge,
  ifMatch: string | undefined,
  body: string,
  options: CloudFrontApiOptions,
): void {
  if (ifMatch === undefined) throw new ServiceError('InvalidIfMatchVersion', 'the header If-Match is required');
  if (ifMatch !== edge.etag)
    throw new ServiceError('PreconditionFailed', `If-Match is ${ifMatch}; the configuration is ${edge.etag}`, 412);
  const current = parser.parse(builder.build({ DistributionConfig: documentOf(edge) }));
  try {
    const given = parser.parse(body).DistributionConfig;
    options.configure(
      edge.distribution.id,
      withCustomHeaders(edge.distribution.source, given, current.DistributionConfig),
    );
  } catch (error) {
    if (error instanceof DocumentFault) throw new ServiceError('NotImplemented', error.message, 501);
    throw new ServiceError('InvalidArgument', error instanceof Error ? error.message : String(error));
  }
}

function documentOf({ distribution }: DistributionEdge): object {
  return apiDocument(distribution.source, distribution.id);
}

function sendDistribution(response: ServerResponse, edge: DistributionEdge): void {
  const { id, arn, domainName } = edge.distribution;
  const content = {
    Id: id,
    ARN: arn,
    Status: edge.isDeployed ? 'Deployed' : 'InProgress',
    DomainName: domainName,
    DistributionConfig: documentOf(edge),
  };
  send(response, 200, 'Distribution', content, { etag: edge.etag });
}

function describeStore(store: KeyValueStore): object {
  return {
    Name: store.name,
    Id: store.arn.slice(store.arn.indexOf('/') + 1),
    Comment: '',
    ARN: store.arn,
    Status: 'READY',
    LastModifiedTime: store.lastModified.toISOString(),
  };
}

function send(
  response: ServerResponse,
  status: number,
  root: string,
  content: object,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'text/xml', 'x-amzn-requestid': randomUUID(), ...headers });
  response.end(`<?xml version="1.0"?>${builder.build({ [root]: { '@_xmlns': NAMESPACE, ...content } })}`);
}
