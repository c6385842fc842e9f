import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { type BodyStore, openBodyStore } from '../../../../containers/edge/cache/body-store';
import { createEdgeCache } from '../../../../containers/edge/cache/edge-cache';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import type { CacheStore, EdgeCache } from '../../../../containers/edge/cache/types';
import { ServiceError } from '../../../../containers/edge/errors';
import { HTTP_LIMITS } from '../../../../containers/edge/http/limits';
import type { WireReply, WireRequest } from '../../../../containers/edge/http/wire/types';
import { WireFront } from '../../../../containers/edge/http/wire/wire-front';
import { HttpCache } from '../../../../containers/edge/http-cache/http-cache';
import { OriginClient } from '../../../../containers/edge/http-cache/origin-client';
import { Transfers } from '../../../../containers/edge/http-cache/transfers';
import { RoutePolicies } from '../../../../lib/core/cache-policy';
import { temporaryDirectory } from '../../../support/edge-service';
import { collectingLog } from '../cache/fixtures';

/** An HTTP cache on a real socket before a scripted origin, with a clock of the test's own. */
export interface CacheUnderTest {
  readonly url: string;
  readonly cache: EdgeCache;
  readonly bodies: BodyStore | undefined;
  readonly bodiesDirectory: string;
  /** Bodies on their way to clients. */
  readonly transfers: Transfers;
  /** Requests that the origin has got, as `METHOD target`. */
  readonly asked: string[];
  /** Requests that the cache has got so far. */
  received(): number;
  /** What the origin answers with from now on. */
  origin(listener: RequestListener): void;
  /** Moves the clock on. */
  pass(seconds: number): void;
  /** An invalidation by tag, as the control log would bring it. */
  purgeTag(tag: string): void;
  get(path: string, headers?: Record<string, string>): Promise<Reply>;
  request(method: string, path: string, headers?: Record<string, string>): Promise<Reply>;
  /** Sends a GET with a body; resolves with all that comes back. */
  getWithBody(path: string, body: string): Promise<string>;
  /** Sends a request and hangs up at once when told to: by a reset, or by closing the connection. */
  openAndHangUp(path: string): Promise<{ hangUp(isReset?: boolean): void }>;
  stop(): Promise<void>;
}

export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  readonly cacheStatus: string;
}

export interface HarnessOptions {
  readonly policies?: readonly object[];
  /** Keep large bodies in a directory of their own. */
  readonly withDisk?: boolean;
  readonly originTimeoutMs?: number;
  /** A tier below memory, and a memory that holds nothing. */
  readonly below?: CacheStore;
}

/** Starts origin and cache. */
export async function startCache(options: HarnessOptions = {}): Promise<CacheUnderTest> {
  const folder = await temporaryDirectory();
  let now = Date.now();
  const clock = () => now;
  let answer: RequestListener = (_request, response) => response.end();
  const asked: string[] = [];
  const origin = await listening(
    createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      answer(request, response);
    }),
  );
  const index = new InvalidationIndex({ epoch: 'test', seq: 0 });
  const memory = createMemoryStore(options.below ? 1 : 64 * 1024 * 1024);
  const cache = createEdgeCache({ memory, l1: options.below, index, clock });
  const bodies = options.withDisk
    ? await openBodyStore(join(folder.path, 'bodies'), 512 * 1024 * 1024, collectingLog())
    : undefined;
  const transfers = new Transfers();
  const httpCache = new HttpCache({
    cache,
    bodies,
    origin: new OriginClient(new URL(urlOf(origin)), clock, options.originTimeoutMs),
    policies: RoutePolicies.parse(options.policies ?? []),
    transfers,
    clock,
  });
  let received = 0;
  const routed = createServer((request, response) => {
    received += 1;
    httpCache
      .handle(request, response, () => undefined)
      .catch((error: unknown) => {
        const status = error instanceof ServiceError ? error.status : 500;
        response.writeHead(status).end(String(error));
      });
  });
  const takes = (wireRequest: WireRequest, reply: WireReply) => {
    if (httpCache.plain.fromMemory(wireRequest, reply) === undefined) {
      return httpCache.plain.takes(wireRequest, reply, () => {
        received += 1;
      });
    }
    received += 1;
    return true;
  };
  new WireFront(routed, { takes }, HTTP_LIMITS);
  const server = await listening(routed);
  const url = urlOf(server);
  const request = async (method: string, path: string, headers: Record<string, string> = {}): Promise<Reply> => {
    const response = await fetch(url + path, { method, headers, redirect: 'manual' });
    const text = await response.text();
    return {
      status: response.status,
      text,
      headers: response.headers,
      cacheStatus: response.headers.get('cache-status') ?? '',
    };
  };
  return {
    url,
    cache,
    bodies,
    bodiesDirectory: join(folder.path, 'bodies'),
    transfers,
    asked,
    received: () => received,
    origin: (listener) => {
      answer = listener;
    },
    pass: (seconds) => {
      now += seconds * 1000;
    },
    purgeTag: (tag) =>
      index.invalidate(
        { keys: [], tags: [tag], prefixes: [], patterns: [] },
        { epoch: 'test', seq: index.position().seq + 1 },
      ),
    request,
    get: (path, headers) => request('GET', path, headers),
    getWithBody: async (path, body) => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      socket.write(
        `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      const parts: Buffer[] = [];
      for await (const part of socket) parts.push(part as Buffer);
      return Buffer.concat(parts).toString();
    },
    openAndHangUp: async (path) => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
      return { hangUp: (isReset = false) => void (isReset ? socket.resetAndDestroy() : socket.destroy()) };
    },
    async stop() {
      server.closeAllConnections();
      origin.closeAllConnections();
      server.close();
      origin.close();
      await httpCache.close();
      await cache.close();
      await bodies?.close();
      await folder.remove();
    },
  };
}

async function listening(server: Server): Promise<Server> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
