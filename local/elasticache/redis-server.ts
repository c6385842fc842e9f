import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
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

/** Until an empty node stands in the place of one that was lost; minutes on AWS, short here so that it can be watched. */
const REPLACEMENT_MS = 3_000;

/**
 * Starts a real `redis-server` on 127.0.0.1, without persistence, and resolves when it accepts connections. One that is
 * lost is replaced by an empty one at the same place, as ElastiCache replaces a node that fails.
 *
 * @throws what to install when the program is missing; the server's last words when it ends instead of starting.
 */
export async function startRedisServer(platform: Platform, options: RedisServerOptions): Promise<RedisServer> {
  const password = randomBytes(32).toString('hex');
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const server = startProcess(platform, options, port, password);
    const words = await readyOrLastWords(server);
    if (words === undefined) {
      const node = new Node(platform, options, port, password, server);
      void node.keepRunning();
      return { port, password, stop: () => node.stop() };
    }
    // Another program may have taken the port between its choice and its use.
    if (attempt < PORT_ATTEMPTS && words.includes('Address already in use')) continue;
    throw new Error(`redis-server did not start: ${words}`);
  }
}

/** A node of a cache at its place, whichever process is there. */
class Node {
  private stopping = false;

  constructor(
    private readonly platform: Platform,
    private readonly options: RedisServerOptions,
    private readonly port: number,
    private readonly password: string,
    private server: ManagedProcess,
  ) {}

  async keepRunning(): Promise<void> {
    for (;;) {
      const { code, signal } = await this.server.exited;
      if (this.stopping) return;
      this.platform.log(`${this.options.name} was lost (exit code ${code}, signal ${signal}); an empty node follows`);
      await delay(REPLACEMENT_MS, undefined, { ref: false });
      if (this.stopping) return;
      this.server = startProcess(this.platform, this.options, this.port, this.password);
      const words = await readyOrLastWords(this.server);
      if (words !== undefined) this.platform.log(`${this.options.name}: the next node did not start: ${words}`);
    }
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.server.stop(STOP_GRACE_MS);
  }
}

function startProcess(
  platform: Platform,
  { name, users, directives }: RedisServerOptions,
  port: number,
  password: string,
): ManagedProcess {
  const directory = join(platform.stateDirectory, 'elasticache', name);
  mkdirSync(directory, { recursive: true });
  return platform.processes.start({
    command: 'redis-server',
    args: [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', directory],
      ...['--save', '', '--appendonly', 'no', '--maxmemory', MAX_MEMORY],
      ...userArguments(users, password),
      ...Object.entries(directives).flatMap(([directive, value]) => [`--${directive}`, value]),
    ],
    cwd: directory,
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8' },
    logFile: platform.logFile(name),
  });
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
