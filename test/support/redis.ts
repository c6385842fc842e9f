import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { generate } from 'selfsigned';

/** A real redis-server that lives as long as a test wants it to. */
export interface TestRedis {
  /** `redis://127.0.0.1:<port>`, or `rediss://...` with TLS. */
  readonly url: string;
  readonly port: number;
  /** File of the certificate to trust (for `NODE_EXTRA_CA_CERTS`); only with TLS. */
  readonly caFile: string | undefined;
  /** Runs a command as the administrator. */
  send(...command: readonly string[]): Promise<unknown>;
  /** FLUSHALL: everything is gone, connections stay. */
  flush(): Promise<void>;
  /** Cuts the connections of every other client, subscribers included. */
  disconnectClients(): Promise<void>;
  /** Stops the process from running (SIGSTOP) without closing anything: a server that hangs. */
  freeze(): void;
  thaw(): void;
  /** Ends the server and removes its files. Safe to call twice. */
  stop(): Promise<void>;
}

/** How often a server is started anew that found its port taken. */
const PORT_ATTEMPTS = 5;

/** Options of `startRedis`. */
export interface TestRedisOptions {
  /** Listen with TLS only, by a certificate made for 127.0.0.1. */
  readonly tls?: boolean;
  /** Listen here instead of on a free port: a server that comes back where another was. */
  readonly port?: number;
  /** Further settings, as on the command line: `['--maxmemory', '2mb']`. */
  readonly settings?: readonly string[];
}

/** Starts a redis-server on 127.0.0.1 without persistence. Rejects with the server's own words when it does not start. */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'mlcdn-redis-'));
  const certificate = options.tls === true ? await writeCertificate(directory) : undefined;
  const { port, server } = await serverOn(options.port, (port) => [
    ...serverArguments(directory, port, certificate),
    ...(options.settings ?? []),
  ]);
  const killWithParent = () => server.kill('SIGKILL');
  process.once('exit', killWithParent);

  const url = `${certificate ? 'rediss' : 'redis'}://127.0.0.1:${port}`;
  const admin = createClient({
    url,
    ...(certificate ? { socket: { tls: true as const, ca: certificate.pem } } : {}),
    disableOfflineQueue: true,
  });
  // The server goes away under this client in every test; its commands still reject.
  admin.on('error', () => undefined);
  await admin.connect();

  let stopped: Promise<void> | undefined;
  const stop = async () => {
    admin.destroy();
    process.removeListener('exit', killWithParent);
    if (server.exitCode === null && server.signalCode === null) {
      const exited = once(server, 'exit');
      server.kill('SIGKILL');
      await exited;
    }
    await rm(directory, { recursive: true, force: true });
  };
  return {
    url,
    port,
    caFile: certificate?.certificateFile,
    send: (...command) => admin.sendCommand([...command]),
    flush: async () => void (await admin.flushAll()),
    disconnectClients: async () => {
      await admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub']);
      await admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
    },
    freeze: () => void server.kill('SIGSTOP'),
    thaw: () => void server.kill('SIGCONT'),
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** Starts a cluster of `nodes` primaries on 127.0.0.1, each with its share of the slots; resolves when it takes commands. */
export async function startRedisCluster(nodes: number): Promise<TestRedis[]> {
  const started = await Promise.all(
    Array.from({ length: nodes }, () => startRedis({ settings: ['--cluster-enabled', 'yes'] })),
  );
  const slots = 16_384;
  await Promise.all(
    started.map((node, i) => {
      const [from, to] = [Math.ceil((slots * i) / nodes), Math.ceil((slots * (i + 1)) / nodes) - 1];
      return node.send('CLUSTER', 'ADDSLOTSRANGE', `${from}`, `${to}`);
    }),
  );
  for (const { port } of started.slice(1)) await started[0]?.send('CLUSTER', 'MEET', '127.0.0.1', `${port}`);
  for (const node of started) {
    const isWhole = async () => {
      const info = `${await node.send('CLUSTER', 'INFO')}`;
      return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes}`);
    };
    while (!(await isWhole())) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return started;
}

interface Certificate {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly pem: string;
}

async function writeCertificate(directory: string): Promise<Certificate> {
  const made = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keySize: 2048,
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  });
  const certificateFile = join(directory, 'redis.crt');
  const keyFile = join(directory, 'redis.key');
  await writeFile(certificateFile, made.cert);
  await writeFile(keyFile, made.private, { mode: 0o600 });
  return { certificateFile, keyFile, pem: made.cert };
}

function serverArguments(directory: string, port: number, certificate: Certificate | undefined): string[] {
  const listener = certificate
    ? ['--port', '0', '--tls-port', `${port}`, '--tls-auth-clients', 'no']
        .concat(['--tls-cert-file', certificate.certificateFile])
        .concat(['--tls-key-file', certificate.keyFile])
        .concat(['--tls-ca-cert-file', certificate.certificateFile])
    : ['--port', `${port}`];
  return ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory, ...listener];
}

/** A server that accepts connections, on this port or on a free one. */
async function serverOn(
  wanted: number | undefined,
  argumentsFor: (port: number) => readonly string[],
): Promise<{ port: number; server: ChildProcess }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = wanted ?? (await freePort());
    const server = spawn('redis-server', argumentsFor(port), { stdio: ['ignore', 'pipe', 'pipe'] });
    const killWithParent = () => server.kill('SIGKILL');
    process.once('exit', killWithParent);
    try {
      await untilReady(server);
      return { port, server };
    } catch (error) {
      // Another program may have taken the port between its choice and its use.
      if (attempt === PORT_ATTEMPTS || !String(error).includes('Address already in use')) throw error;
    } finally {
      process.removeListener('exit', killWithParent);
    }
  }
}

async function untilReady(server: ChildProcess): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    server.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('Ready to accept connections')) resolve();
    });
    server.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`redis-server ended with code ${code} at start:\n${said}`)));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the free port has no number');
  return address.port;
}
