import { randomBytes } from 'node:crypto';
import {
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
  request as sendRequest,
} from 'node:http';
import type { ForwardMeasure } from './balancer-metrics';
import type { TargetGroup } from './target-group';

/** Headers of one hop (RFC 9110, section 7.6.1), never forwarded. */
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'];

export interface ProxyOptions {
  readonly agent: Agent;
  /** Ends a request whose target sends nothing for this long, ms. */
  readonly idleTimeoutMs: number;
  /** What the client of the load balancer spoke, for `X-Forwarded-Proto` and `-Port`. */
  readonly protocol: 'http' | 'https';
  readonly listenerPort: number;
  readonly measure: ForwardMeasure;
}

/** Connections of a load balancer to its targets, kept alive. */
export function targetAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1024 });
}

/**
 * Passes a request on to a target of the group and streams the answer back.
 * Answers of its own, as Elastic Load Balancing gives them: 503 without a target, 502 when the target closes or refuses
 * the connection, 504 when it stays silent.
 */
export function forward(
  request: IncomingMessage,
  response: ServerResponse,
  group: TargetGroup,
  options: ProxyOptions,
): void {
  const { measure } = options;
  const fail = (status: number, reason: string) => {
    measure.failed(status);
    answerPlain(response, status, reason);
  };
  const target = group.acquire();
  if (!target) {
    fail(503, 'Service Temporarily Unavailable');
    return;
  }
  measure.chosen();
  let released = false;
  const release = () => {
    if (!released) target.release();
    released = true;
  };

  const sentAt = performance.now();
  const upstream = sendRequest({
    agent: options.agent,
    host: target.host,
    port: target.port,
    method: request.method,
    path: request.url,
    headers: forwardedHeaders(request, options),
    timeout: options.idleTimeoutMs,
  });
  let timedOut = false;
  upstream.on('timeout', () => {
    timedOut = true;
    upstream.destroy();
  });
  upstream.on('error', () => {
    release();
    if (response.headersSent) response.destroy();
    else if (timedOut) fail(504, 'Gateway Time-out');
    else fail(502, 'Bad Gateway');
  });
  upstream.on('response', (answer) => {
    measure.answered(answer.statusCode ?? 502, (performance.now() - sentAt) / 1000);
    response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
    answer.pipe(response);
    answer.once('error', () => response.destroy());
  });
  response.once('close', () => {
    release();
    if (!response.writableFinished) upstream.destroy();
  });
  request.pipe(upstream);
}

/** Answers with a short HTML page, as the load balancer does for its own errors and fixed responses. */
export function answerPlain(response: ServerResponse, status: number, reason: string): void {
  const body = `<html><head><title>${status} ${reason}</title></head><body><h1>${status} ${reason}</h1></body></html>\n`;
  response.writeHead(status, {
    server: 'awselb/2.0',
    'content-type': 'text/html',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

function forwardedHeaders(request: IncomingMessage, { protocol, listenerPort }: ProxyOptions): IncomingHttpHeaders {
  const earlier = request.headers['x-forwarded-for'];
  const client = request.socket.remoteAddress ?? '127.0.0.1';
  const traceTime = Math.floor(Date.now() / 1000).toString(16);
  return {
    ...endToEnd(request.headers),
    'x-forwarded-for': earlier ? `${earlier}, ${client}` : client,
    'x-forwarded-proto': protocol,
    'x-forwarded-port': String(listenerPort),
    'x-amzn-trace-id': request.headers['x-amzn-trace-id'] ?? `Root=1-${traceTime}-${randomBytes(12).toString('hex')}`,
  };
}

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const named = String(headers.connection ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase());
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name) && !named.includes(name)),
  );
}
