import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { processIdentity } from './process-identity';

/** How a process ended; exactly one of the two is set, or `error` when it could not be started. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: Error;
}

export interface ProcessSpec {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** Standard output and error are appended here. */
  readonly logFile: string;
  /** Told of each line of standard output, besides. */
  readonly onLine?: ((line: string) => void) | undefined;
  /** Opens a Node IPC channel. */
  readonly ipc?: boolean;
}

/** A child process whose end is certain: asked first, forced after a grace period. */
export interface ManagedProcess {
  readonly pid: number | undefined;
  readonly child: ChildProcess;
  /** Resolves when the process has ended, however it did. */
  readonly exited: Promise<Exit>;
  /** SIGTERM, then SIGKILL after `graceMs`. Resolves when the process has ended. */
  stop(graceMs: number): Promise<Exit>;
}

/**
 * Starts child processes and remembers them on disk, so that those a crashed run left behind are ended at the next start.
 */
export class Processes {
  private readonly pidDirectory: string;

  constructor(stateDirectory: string) {
    this.pidDirectory = join(stateDirectory, 'pids');
    mkdirSync(this.pidDirectory, { recursive: true });
  }

  /**
   * Ends what an earlier run left running. Only processes whose start time is the recorded one are touched; a process id that now belongs to something else is forgotten.
   *
   * @returns the ids of the processes ended.
   */
  async endLeftovers(graceMs = 5_000): Promise<number[]> {
    const leftovers = readdirSync(this.pidDirectory).flatMap((file) => {
      const path = join(this.pidDirectory, file);
      const identity = readFileSync(path, 'utf8');
      const pid = Number(file);
      if (Number.isInteger(pid) && processIdentity(pid) === identity) return [{ pid, path, identity }];
      rmSync(path, { force: true });
      return [];
    });
    await Promise.all(
      leftovers.map(async ({ pid, path, identity }) => {
        process.kill(pid, 'SIGTERM');
        const deadline = Date.now() + graceMs;
        while (processIdentity(pid) === identity && Date.now() < deadline) await delay(50);
        if (processIdentity(pid) === identity) process.kill(pid, 'SIGKILL');
        rmSync(path, { force: true });
      }),
    );
    return leftovers.map(({ pid }) => pid);
  }

  /** Starts a process. A command that cannot be run shows in `exited`. */
  start(spec: ProcessSpec): ManagedProcess {
    mkdirSync(dirname(spec.logFile), { recursive: true });
    const child = spawn(spec.command, spec.args, {
      cwd: spec.cwd,
      env: { ...spec.env },
      stdio: ['ignore', 'pipe', 'pipe', ...(spec.ipc ? (['ipc'] as const) : [])],
      // A process group of its own: Ctrl-C at the terminal is for the runner, which stops everything in order. What ended
      // by itself just before would be taken for lost.
      detached: true,
    });
    appendOutput(child, spec.logFile);
    if (spec.onLine && child.stdout) createInterface({ input: child.stdout }).on('line', spec.onLine);
    const exited = exitOf(child);
    const forget = child.pid === undefined ? () => {} : this.remember(child.pid);
    void exited.then(forget);
    return { pid: child.pid, child, exited, stop: (graceMs) => stopChild(child, exited, graceMs) };
  }

  private remember(pid: number): () => void {
    const file = join(this.pidDirectory, String(pid));
    const identity = processIdentity(pid);
    if (identity !== undefined) writeFileSync(file, identity);
    return () => rmSync(file, { force: true });
  }
}

function appendOutput(child: ChildProcess, logFile: string): void {
  const log = createWriteStream(logFile, { flags: 'a' });
  const outputs = [child.stdout, child.stderr].filter((output): output is Readable => output !== null);
  for (const output of outputs) output.pipe(log, { end: false });
  child.once('close', () => log.end());
  child.once('error', () => log.end());
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.on('error', (error) => {
      // A process that runs reports failed signals and messages here too; those do not end it.
      if (child.pid === undefined) resolve({ code: null, signal: null, error });
    });
  });
}

async function stopChild(child: ChildProcess, exited: Promise<Exit>, graceMs: number): Promise<Exit> {
  const force = setTimeout(() => child.kill('SIGKILL'), graceMs);
  child.kill('SIGTERM');
  return exited.finally(() => clearTimeout(force));
}
