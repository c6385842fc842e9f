import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LocalConnection } from '../../lib/control/local-connection';

const ROOT = join(__dirname, '..', '..');

/** A local CDN started the way a person starts it: `npm start -- --no-demo`. */
export interface LocalCdn {
  readonly connection: LocalConnection;
  readonly process: ChildProcess;
  /** All it printed so far. */
  output(): string;
  /** Ctrl-C; resolves with the exit code. */
  interrupt(): Promise<number | null>;
}

function connectionOf(pid: number | undefined): LocalConnection | undefined {
  try {
    const connection = JSON.parse(readFileSync(join(ROOT, '.mlcdn', 'local.json'), 'utf8')) as LocalConnection;
    return connection.pid === pid ? connection : undefined;
  } catch {
    return undefined;
  }
}

/** What to start. */
interface LocalCdnOptions {
  readonly port: number;
  readonly regions?: readonly string[];
}

/** Starts the local CDN in a process group of its own, as a terminal does, and does not wait for anything. */
export function startWithoutWaiting({ port, regions }: LocalCdnOptions): ChildProcess {
  const args = ['scripts/run.mjs', 'start', '--no-demo', '--port', String(port)];
  if (regions) args.push('--regions', regions.join(','));
  return spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
}

/** Starts the local CDN and waits until it says it is ready; rejects with its output when it ends before. */
export async function startLocalCdn(options: LocalCdnOptions): Promise<LocalCdn> {
  const child = startWithoutWaiting(options);
  let text = '';
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const ready = new Promise<void>((resolve) => {
    const collect = (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('mlcdn is ready')) resolve();
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
  });
  await Promise.race([
    ready,
    exited.then((code) => {
      throw new Error(`npm start ended with ${code} before it was ready:\n${text}`);
    }),
  ]);
  const connection = connectionOf(child.pid);
  if (!connection) throw new Error(`ready, but .mlcdn/local.json does not name process ${child.pid}:\n${text}`);
  return {
    connection,
    process: child,
    output: () => text,
    async interrupt() {
      // To the whole process group, as a terminal does.
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
      return exited;
    },
  };
}
