import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';

/** A listening HTTP server on 127.0.0.1. */
export interface LocalServer {
  readonly server: Server;
  readonly port: number;
  readonly url: string;
  /** Stops listening and ends open connections. */
  close(): Promise<void>;
}

/**
 * Serves HTTP on 127.0.0.1.
 *
 * @param port 0 takes any free port.
 * @throws a sentence that says what to do when the port is in use.
 */
export async function serveLocally(listener: RequestListener, port = 0): Promise<LocalServer> {
  const server = createServer({ keepAliveTimeout: 75_000 }, listener);
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'EADDRINUSE') {
      throw new Error(`port ${port} of 127.0.0.1 is in use: end the program that listens there or choose another port`);
    }
    throw error;
  }
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no TCP address');
  return {
    server,
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
