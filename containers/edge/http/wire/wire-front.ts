import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { KnownHeads } from './known-heads';
import { RoutedStream } from './routed-stream';
import type { WireHandler, WireLimits } from './types';
import { WireConnection, type WireHost } from './wire-connection';

/**
 * Stands between the listening socket of an HTTP server and its parser: what the handler can answer completely is read
 * and answered here, for a fraction of what the server's own request and response objects cost; everything else
 * reaches the server as if it had accepted the connection itself.
 */
export class WireFront implements WireHost {
  readonly handler: WireHandler;
  readonly limits: WireLimits;
  readonly heads: KnownHeads;
  readonly keepAliveLines: string;
  readonly #connections = new Set<WireConnection>();
  readonly #attach: (stream: RoutedStream) => void;
  #stopping = false;

  /** Takes over the connections of a server that has not accepted any yet. */
  constructor(server: Server, handler: WireHandler, limits: WireLimits) {
    this.handler = handler;
    this.limits = limits;
    this.heads = new KnownHeads(limits.headerFields);
    const seconds = Math.floor(limits.keepAliveTimeoutMs / 1000);
    this.keepAliveLines = `connection: keep-alive\r\nkeep-alive: timeout=${seconds}\r\n\r\n`;
    const listeners = server.listeners('connection');
    server.removeAllListeners('connection');
    this.#attach = (stream) => {
      for (const listener of listeners) listener.call(server, stream);
    };
    server.on('connection', (socket: Socket) => this.#connections.add(new WireConnection(socket, this)));
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      const stream: object = request.socket;
      if (stream instanceof RoutedStream) stream.onAnswer(response);
    });
    // Every connection of the server is one of these, and only they know what is due on them.
    server.closeIdleConnections = () => {
      for (const connection of this.#connections) connection.closeIfIdle();
    };
    const checks = setInterval(() => this.#check(), limits.checkIntervalMs).unref();
    server.once('close', () => clearInterval(checks));
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** From now on connections close behind the answers still due. */
  stop(): void {
    this.#stopping = true;
  }

  attach(stream: RoutedStream): void {
    this.#attach(stream);
  }

  closed(connection: WireConnection): void {
    this.#connections.delete(connection);
  }

  #check(): void {
    const now = performance.now();
    for (const connection of this.#connections) connection.check(now);
  }
}
