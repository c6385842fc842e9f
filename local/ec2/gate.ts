import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

/** A TCP port of 127.0.0.1 in front of a service. */
export interface Gate {
  readonly port: number;
  /** Stops listening and ends its connections. */
  close(): Promise<void>;
}

/**
 * Opens a gate. A connection that is not admitted is held without a byte, so that its client runs into its own
 * time-out as with packets that are dropped; only that the TCP handshake succeeds tells the two apart.
 *
 * @param admits asked for each connection.
 * @param serve gets the connections that are admitted.
 */
export async function openGate(admits: () => boolean, serve: (client: Socket) => void): Promise<Gate> {
  const connections = new Set<Socket>();
  const server: Server = createServer((client) => {
    connections.add(client);
    client.on('error', () => client.destroy());
    client.once('close', () => connections.delete(client));
    if (admits()) serve(client);
    else client.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('127.0.0.1 gave no port');
  return {
    port: address.port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const connection of connections) connection.destroy();
      await closed;
    },
  };
}
