import { connect, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { type Gate, openGate } from '../ec2/gate';
import { LoginRewriter, type PasswordFor } from './login-rewriter';

export interface CacheGateOptions {
  /** Port of the server behind the gate, which speaks plain TCP. */
  readonly serverPort: number;
  /** Ends the client's TLS; without it the client speaks plain TCP too. */
  readonly tls: { readonly key: Buffer; readonly cert: Buffer } | undefined;
  readonly admits: () => boolean;
  /** Judges the tokens of logins; without it nobody has to log in. */
  readonly passwordFor: PasswordFor | undefined;
}

/** A way to a cache: admits connections as the network does, ends TLS and judges logins as ElastiCache does. */
export function openCacheGate({ serverPort, tls, admits, passwordFor }: CacheGateOptions): Promise<Gate> {
  return openGate(admits, (raw: Socket) => {
    const client = tls ? new TLSSocket(raw, { isServer: true, ...tls }) : raw;
    const server = connect({ port: serverPort, host: '127.0.0.1', noDelay: true });
    raw.setNoDelay(true);
    const end = () => {
      client.destroy();
      server.destroy();
    };
    client.on('error', end);
    if (passwordFor) pipeline(client, new LoginRewriter(passwordFor), server, end);
    else pipeline(client, server, end);
    pipeline(server, client, end);
  });
}
