import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { sendJson, sendJsonError } from '../aws-front/json-protocol';
import { ServiceError } from '../aws-front/service-error';
import type { AwsApi, CallContext } from '../engine/types';
import type { KeyValueStore } from './key-value-store';

/** IAM action of each route. */
const ACTIONS: Readonly<Record<string, string>> = {
  'GET store': 'DescribeKeyValueStore',
  'GET keys': 'ListKeys',
  'GET keys/key': 'GetKey',
  'PUT keys/key': 'PutKey',
  'DELETE keys/key': 'DeleteKey',
  'POST keys': 'UpdateKeys',
};

const MAX_LIST = 50;
const PutBody = z.object({ Value: z.string() });
const UpdateBody = z.object({
  Puts: z.array(z.object({ Key: z.string(), Value: z.string() })).default([]),
  Deletes: z.array(z.object({ Key: z.string() })).default([]),
});

/**
 * The CloudFront KeyValueStore data API (REST JSON). Operations it does not have answer 501.
 * Source: "CloudFront KeyValueStore API reference", version 2022-07-26.
 *
 * @param storeByArn `undefined` for an ARN that names no store
 */
export function keyValueStoreApi(storeByArn: (arn: string) => KeyValueStore | undefined): AwsApi {
  return {
    signingName: 'cloudfront-keyvaluestore',
    async handle(request, response, context) {
      try {
        await dispatch(request, response, context, storeByArn);
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        sendJsonError(response, error);
      }
    },
  };
}

async function dispatch(
  request: IncomingMessage,
  response: ServerResponse,
  context: CallContext,
  storeByArn: (arn: string) => KeyValueStore | undefined,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const [root, arn, keys, key, ...rest] = url.pathname.slice(1).split('/').map(decodeURIComponent);
  if (root !== 'key-value-stores' || arn === undefined || rest.length > 0) throw notImplemented(request);
  const route = `${request.method} ${keys === undefined ? 'store' : key === undefined ? keys : `${keys}/key`}`;
  const action = ACTIONS[route];
  if (action) context.authorize(`cloudfront-keyvaluestore:${action}`, arn);
  const store = storeByArn(arn);
  if (!store) throw new ServiceError('ResourceNotFoundException', `there is no key value store ${arn}`, 404);
  const etag = headerOf(request, 'if-match');

  switch (route) {
    case 'GET store':
      return sendJson(response, 200, describe(store), { etag: store.etag });
    case 'GET keys':
      return sendJson(response, 200, list(store, url.searchParams));
    case 'GET keys/key':
      return sendJson(response, 200, { Key: key, Value: existing(store, key ?? ''), ...size(store) });
    case 'PUT keys/key': {
      const { Value } = await body(request, PutBody);
      store.update(etag, { puts: [{ key: key ?? '', value: Value }], deletes: [] });
      break;
    }
    case 'DELETE keys/key':
      store.update(etag, { puts: [], deletes: [key ?? ''] });
      break;
    case 'POST keys': {
      const { Puts, Deletes } = await body(request, UpdateBody);
      store.update(etag, {
        puts: Puts.map(({ Key, Value }) => ({ key: Key, value: Value })),
        deletes: Deletes.map(({ Key }) => Key),
      });
      break;
    }
    default:
      throw notImplemented(request);
  }
  sendJson(response, 200, size(store), { etag: store.etag });
}

function existing(store: KeyValueStore, key: string): string {
  const value = store.get(key);
  if (value === undefined) throw new ServiceError('ResourceNotFoundException', `the store has no key ${key}`, 404);
  return value;
}

function size(store: KeyValueStore): { ItemCount: number; TotalSizeInBytes: number } {
  return { ItemCount: store.itemCount, TotalSizeInBytes: store.totalBytes };
}

function describe(store: KeyValueStore): object {
  return {
    ...size(store),
    KvsARN: store.arn,
    Created: store.created.getTime() / 1000,
    LastModified: store.lastModified.getTime() / 1000,
    Status: 'READY',
  };
}

/** The token of a page is the last key of the page before it. */
function list(store: KeyValueStore, query: URLSearchParams): object {
  const wanted = Number(query.get('MaxResults') ?? MAX_LIST);
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > MAX_LIST) {
    throw new ServiceError('ValidationException', `MaxResults ${query.get('MaxResults')} must be 1 to ${MAX_LIST}`);
  }
  const after = query.get('NextToken') ?? '';
  const remaining = store.entries().filter(({ key }) => key > after);
  const page = remaining.slice(0, wanted);
  const last = page.at(-1);
  return {
    Items: page.map(({ key, value }) => ({ Key: key, Value: value })),
    ...(remaining.length > page.length && last ? { NextToken: last.key } : {}),
  };
}

async function body<Schema extends z.ZodType>(request: IncomingMessage, schema: Schema): Promise<z.output<Schema>> {
  const parsed = schema.safeParse(parseJson(await text(request)));
  if (!parsed.success) throw new ServiceError('ValidationException', z.prettifyError(parsed.error));
  return parsed.data;
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new ServiceError('ValidationException', 'the body is not JSON');
  }
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function notImplemented(request: IncomingMessage): ServiceError {
  return new ServiceError('NotImplemented', `${request.method} ${request.url} has no stand-in here`, 501);
}
