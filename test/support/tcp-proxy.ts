import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy on 127.0.0.1 that does to answers what a bad network or a bad server does. */
export interface TcpProxy {
  readonly port: number;
  /** How many connections it has accepted so far. */
  readonly accepted: number;
  /** Answers take this much longer from now on, ms. */
  delay(ms: number): void;
  /** Nothing is answered from now on, on old connections and on new ones; nothing is closed either. */
  silence(silent: boolean): void;
  /** Sends these bytes to every client, as if the server had. */
  inject(bytes: string): void;
  /** Later connections lead to this port. */
  redirect(port: number): void;
  close(): Promise<void>;
}

/** Starts a proxy in front of `target`, a port on 127.0.0.1. */
export async function startTcpProxy(target: number): Promise<TcpProxy> {
  const clients = new Set<Socket>();
  let [port, accepted, delayMs, silent] = [target, 0, 0, false];
  const server = createServer((client) => {
    accepted += 1;
    const upstream = connect(port, '127.0.0.1');
    clients.add(client);
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk) => {
      if (silent) return;
      // Timers of one length fire in the order in which they were set, so answers stay in order.
      if (delayMs === 0) client.write(chunk);
      else setTimeout(() => client.destroyed || client.write(chunk), delayMs);
    });
    const end = () => {
      clients.delete(client);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    port: address.port,
    get accepted() {
      return accepted;
    },
    delay: (ms) => {
      delayMs = ms;
    },
    silence: (value) => {
      silent = value;
    },
    inject: (bytes) => {
      for (const client of clients) client.write(bytes);
    },
    redirect: (to) => {
      port = to;
    },
    close: async () => {
      for (const client of clients) client.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
