import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ServiceError } from '../errors';
import { FieldNames } from '../raw-fields';
import { errorAnswer } from './error-answer';
import type { HttpLimits } from './limits';
import type { WireHandler } from './wire/types';
import { WireFront } from './wire/wire-front';

const LAST_ANSWER = Symbol('last answer');

/** A connection with the answer to its newest request: those before it on the same connection end first. */
interface Connection extends Socket {
  [LAST_ANSWER]?: ServerResponse;
}

/** An HTTP server with its front. */
export interface HttpServer {
  readonly server: Server;
  readonly front: WireFront;
}

/** The HTTP server: gives the hot path its choice, refuses what is over a limit, and gives the router everything else. */
export function createHttpServer(router: RequestListener, hotPath: WireHandler, limits: HttpLimits): HttpServer {
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      connectionsCheckingInterval: limits.checkIntervalMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      // Node refuses a request without Host with an empty answer; the service says why.
      requireHostHeader: false,
    },
    (request, response) => {
      (request.socket as Connection)[LAST_ANSWER] = response;
      const refusal = refusalOf(request, limits);
      if (refusal !== undefined) refuse(request, response, refusal);
      else router(request, response);
    },
  );
  server.maxConnections = limits.connections;
  // Node drops fields above its own bound without a word: one more shows that there were too many.
  server.maxHeadersCount = limits.headerFields + 1;
  return { server, front: new WireFront(server, hotPath, limits) };
}

const HOST = new FieldNames(['host']);

function refusalOf(request: IncomingMessage, limits: HttpLimits): ServiceError | undefined {
  if (request.rawHeaders.length > 2 * limits.headerFields) {
    return new ServiceError('headers_too_large', `a request may have at most ${limits.headerFields} header fields`);
  }
  if (request.httpVersion === '1.1' && !HOST.isIn(request.rawHeaders)) {
    return new ServiceError('invalid_request', 'an HTTP/1.1 request needs a Host header');
  }
  return undefined;
}

function refuse(request: IncomingMessage, response: ServerResponse, error: ServiceError): void {
  const { status, headers, body } = errorAnswer(error, request.url ?? '');
  response.writeHead(status, { ...headers, connection: 'close', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** Answers what Node could not read as a request, and closes. Answers still due on the connection go first. */
export function refuseUnreadable(error: Error & { code?: string }, socket: Socket, limits: HttpLimits): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const text = unreadableAnswer(unreadableError(error, limits));
  const due = (socket as Connection)[LAST_ANSWER];
  if (due === undefined || due.writableFinished) {
    socket.end(text);
  } else if (due.req.complete) {
    due.once('finish', () => socket.end(text));
  } else {
    // The broken message is the one being answered: once its answer has begun, nothing more can be said.
    if (!due.headersSent) socket.write(text);
    socket.destroySoon();
  }
}

function unreadableError({ code, message }: Error & { code?: string }, limits: HttpLimits): ServiceError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new ServiceError('headers_too_large', `request line and headers may have ${limits.headerBytes} bytes`);
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ServiceError('request_timeout', 'the request took too long to arrive');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new ServiceError('body_too_large', 'the extensions of a chunk are too large');
    default:
      return new ServiceError('invalid_request', `the request is not HTTP/1.1: ${message}`);
  }
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
};

function unreadableAnswer(error: ServiceError): string {
  const { status, headers, body } = errorAnswer(error, '');
  const fields = { ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${REASONS[status] ?? 'Error'}\r\n${lines.join('')}\r\n${body}`;
}
