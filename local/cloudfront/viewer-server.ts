import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Pop } from '../geo/pops';
import type { Geo } from '../geo/viewer-places';
import { viewerToPopMs } from '../geo/wide-area';
import type { Clock } from './clock';
import type { DistributionEdge, EdgeAnswer } from './distribution-edge';
import { errorPage } from './error-page';
import { type Headers, headerValue, plainHeaders, removeHopByHop } from './headers';
import { VIA } from './origin-request';
import { counted } from './shared-body';
import type { PopStatistics } from './statistics';
import { deliver, slice } from './viewer-conditions';
import { MAX_HEADER_BYTES, readViewerRequest, ViewerError, viewerAddress } from './viewer-request';

/** A listening viewer server. */
export interface ViewerServer {
  readonly url: string;
  readonly port: number;
  /** Stops listening and ends open connections. */
  close(): Promise<void>;
}

export interface ViewerServerOptions {
  readonly geo: Geo;
  readonly clock: Clock;
  readonly injectDelays: boolean;
  readonly log: (line: string) => void;
  readonly statistics: PopStatistics;
  /** The distribution of a request's `Host`. */
  distributionFor(host: string): DistributionEdge | undefined;
}

/**
 * Opens the listener to which viewers come. It speaks HTTP and stands for CloudFront's HTTPS.
 *
 * @throws a sentence that says what to do when the port is in use.
 */
export async function openViewerServer(
  options: ViewerServerOptions,
  port: number,
  host: string,
): Promise<ViewerServer> {
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: 75_000 }, (message, response) => {
    serve(options, message, response).catch((error: unknown) => {
      options.log(`${message.method} ${message.url}: ${error instanceof Error ? error.message : String(error)}`);
      response.destroy();
    });
  });
  await listen(server, port, host);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the viewer server has no TCP address');
  return {
    url: `http://${host}:${address.port}`,
    port: address.port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'EADDRINUSE') {
      throw new Error(
        `port ${port} of ${host} is in use: end the program that listens there or choose another with --port`,
      );
    }
    throw error;
  }
}

async function serve(options: ViewerServerOptions, message: IncomingMessage, response: ServerResponse): Promise<void> {
  const requestId = randomBytes(42).toString('base64url');
  let pop = options.geo.nearestPop(options.geo.locate('127.0.0.1'));
  let accessMs = 0;
  let answer: EdgeAnswer;
  try {
    const request = readViewerRequest(message);
    const viewerIp = viewerAddress(message);
    const place = options.geo.locate(viewerIp);
    pop = options.geo.nearestPop(place);
    if (options.injectDelays) {
      accessMs = viewerToPopMs(place, pop);
      await options.clock.sleep(accessMs);
    }
    const host = headerValue(request.headers, 'host') ?? '';
    const distribution = options.distributionFor(host.replace(/:\d+$/, ''));
    if (!distribution) throw new ViewerError(403, `no distribution answers to ${host}`);
    answer = await distribution.answer({ message, request, requestId, viewerIp, place, pop });
  } catch (error) {
    if (!(error instanceof ViewerError)) throw error;
    const request = { method: message.method ?? 'GET', uri: '/', query: '', headers: new Map(), cookies: [] };
    answer = { ...errorPage(error.status, error.message), result: 'Error', length: undefined, wideAreaMs: 0, request };
  }
  options.statistics.countRequest(pop, answer.result);
  await send(answer, { message, response, pop, requestId, accessMs, statistics: options.statistics });
}

interface Delivery {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly pop: Pop;
  readonly requestId: string;
  readonly accessMs: number;
  readonly statistics: PopStatistics;
}

async function send(answer: EdgeAnswer, delivery: Delivery): Promise<void> {
  const headers: Headers = new Map(answer.headers);
  removeHopByHop(headers);
  addCloudFrontHeaders(headers, answer, delivery);
  const { status, body } = shape(answer, headers);

  delivery.response.writeHead(status, plainHeaders(headers));
  if (delivery.message.method === 'HEAD' || !body) {
    delivery.response.end();
    await release(answer.body);
    return;
  }
  const sent = counted(body, (bytes) => delivery.statistics.countServed(delivery.pop, bytes));
  try {
    await pipeline(Readable.from(sent, { objectMode: false }), delivery.response);
  } catch (error) {
    // A viewer who hangs up early is no failure of the stand-in's.
    if (!delivery.message.socket.destroyed) throw error;
  }
}

/** Fits an answer to the viewer's conditions and range, changing its fields with it. */
function shape(answer: EdgeAnswer, headers: Headers): { status: number; body: AsyncIterable<Buffer> | undefined } {
  const reads = answer.request.method === 'GET' || answer.request.method === 'HEAD';
  const way = reads
    ? deliver(answer.request.headers, answer.status, headers, answer.length)
    : { kind: 'whole' as const };
  switch (way.kind) {
    case 'not-modified':
      for (const name of ['content-length', 'content-type', 'content-encoding']) headers.delete(name);
      return { status: 304, body: undefined };
    case 'unsatisfiable':
      headers.set('content-range', [`bytes */${way.length}`]);
      headers.set('content-length', ['0']);
      return { status: 416, body: undefined };
    case 'part': {
      const { first, last } = way.range;
      headers.set('content-range', [`bytes ${first}-${last}/${way.length}`]);
      headers.set('content-length', [String(last - first + 1)]);
      return { status: 206, body: slice(answer.body, way.range) };
    }
    case 'whole': {
      const bodiless = answer.status === 204 || answer.status === 304;
      if (!bodiless && answer.length !== undefined) headers.set('content-length', [String(answer.length)]);
      return { status: answer.status, body: bodiless ? undefined : answer.body };
    }
  }
}

function addCloudFrontHeaders(headers: Headers, answer: EdgeAnswer, delivery: Delivery): void {
  const via = headerValue(headers, 'via');
  headers.set('via', [via === undefined ? VIA : `${via}, ${VIA}`]);
  headers.set('x-cache', [`${answer.result} from cloudfront`]);
  headers.set('x-amz-cf-pop', [`${delivery.pop.code}50-P1`]);
  headers.set('x-amz-cf-id', [delivery.requestId]);
  const wideAreaMs = delivery.accessMs + answer.wideAreaMs;
  if (wideAreaMs > 0) {
    const own = `cdn-wan;desc="simulated";dur=${wideAreaMs.toFixed(1)}`;
    const others = headerValue(headers, 'server-timing');
    headers.set('server-timing', [others === undefined ? own : `${others}, ${own}`]);
  }
}

/** Lets go of a body that nobody reads, so that its connection ends or becomes free. */
async function release(body: AsyncIterable<Buffer>): Promise<void> {
  await body[Symbol.asyncIterator]().return?.();
}
