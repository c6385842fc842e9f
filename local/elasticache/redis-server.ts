import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '../engine/free-port';
import type { Platform } from '../engine/platform';
import type { ManagedProcess } from '../engine/processes';

/** A user with the rules of an access list. */
export interface RedisUser {
  readonly name: string;
  readonly access: readonly string[];
}

export interface RedisServerOptions {
  /** Name of its directory and log; unique on this machine. */
  readonly name: string;
  /** Further `redis.conf` directives, from the template's parameter group. */
  readonly directives: Readonly<Record<string, string>>;
  /** Who may log in; without it, everybody may do everything. */
  readonly users?: readonly RedisUser[] | undefined;
}

export interface RedisServer {
  /** Plain TCP. */
  readonly port: number;
  /** Every user's password. */
  readonly password: string;
  stop(): Promise<void>;
}

/** Enough for a demonstration, little enough for a laptop with a dozen regions. */
const MAX_MEMORY = '64mb';
const STOP_GRACE_MS = 3_000;
const PORT_ATTEMPTS = 3;

/**
 * Starts a real `redis-server` on 127.0.0.1, without persistence, and resolves when it accepts connections.
 *
 * @throws what to install when the program is missing; the server's last words when it ends instead of starting.
 */
export async function startRedisServer(platform: Platform, options: RedisServerOptions): Promise<RedisServer> {
  const directory = join(platform.stateDirectory, 'elasticache', options.name);
  mkdirSync(directory, { recursive: true });
  const password = randomBytes(32).toString('hex');
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const server = platform.processes.start({
      command: 'redis-server',
      args: [
        ...['--port', String(port), '--bind', '127.0.0.1', '--dir', directory],
        ...['--save', '', '--appendonly', 'no', '--maxmemory', MAX_MEMORY],
        ...userArguments(options.users, password),
        ...Object.entries(options.directives).flatMap(([name, value]) => [`--${name}`, value]),
      ],
      cwd: directory,
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8' },
      logFile: platform.logFile(options.name),
    });
    const words = await readyOrLastWords(server);
    if (words === undefined) {
      return {
        port,
        password,
        stop: async () => {
          await server.stop(STOP_GRACE_MS);
        },
      };
    }
    // Another program may have taken the port between its choice and its use.
    if (attempt < PORT_ATTEMPTS && words.includes('Address already in use')) continue;
    throw new Error(`redis-server did not start: ${words}`);
  }
}

function userArguments(users: readonly RedisUser[] | undefined, password: string): string[] {
  if (users === undefined) return [];
  const named = users.flatMap(({ name, access }) => ['--user', name, `>${password}`, ...access]);
  return [...named, '--user', 'default', 'reset', 'off'];
}

/** Waits for the server's own ready line; gives its last lines when it ends before. */
async function readyOrLastWords(server: ManagedProcess): Promise<string | undefined> {
  const { stdout } = server.child;
  if (!stdout) throw new Error('redis-server has no standard output');
  const lastLines: string[] = [];
  const lines = createInterface({ input: stdout });
  const ready = new Promise<'ready'>((resolve) => {
    lines.on('line', (line) => {
      lastLines.push(line);
      if (lastLines.length > 5) lastLines.shift();
      if (/Ready to accept connections/i.test(line)) resolve('ready');
    });
  });
  const outcome = await Promise.race([ready, server.exited]);
  if (outcome === 'ready') return undefined;
  if (outcome.error && 'code' in outcome.error && outcome.error.code === 'ENOENT') {
    throw new Error(
      'redis-server is not installed: run `apt install redis-server` on Debian, `dnf install valkey-compat-redis` ' +
        'on Fedora or `brew install redis` on macOS',
    );
  }
  return outcome.error?.message ?? `${lastLines.join(' | ')} (exit code ${outcome.code}, signal ${outcome.signal})`;
}
