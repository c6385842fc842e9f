import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';

/** A process that a benchmark started. */
export interface Started {
  readonly pid: number;
  /** What it has written so far, for the message when it fails. */
  output(): string;
  /** Ends it and waits until it is gone. Safe to call twice. */
  stop(): Promise<void>;
}

/** Options of `startProcess`. */
export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Core to run on; anywhere by default. */
  readonly core?: number | undefined;
  /** Gives way to whatever else wants its core. */
  readonly isBackground?: boolean;
}

const STOP_MS = 8_000;
const OUTPUT_CHARS = 20_000;
const running = new Set<ChildProcess>();

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** Starts a program; it ends with this process at the latest. */
export function startProcess(command: string, args: readonly string[], options: StartOptions = {}): Started {
  const { child, output } = spawnPinned(command, args, options);
  let stopped: Promise<void> | undefined;
  return {
    pid: child.pid ?? -1,
    output,
    stop: () => {
      stopped ??= stop(child);
      return stopped;
    },
  };
}

function spawnPinned(command: string, args: readonly string[], { core, env, cwd, isBackground }: StartOptions) {
  const words = [
    ...(core === undefined ? [] : ['taskset', '-c', `${core}`]),
    ...(isBackground === true ? ['nice', '-n', '10'] : []),
    command,
    ...args,
  ];
  const child = spawn(words[0] ?? command, words.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    cwd,
  });
  running.add(child);
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-OUTPUT_CHARS);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  child.on('error', (error) => keep(Buffer.from(error.message)));
  child.once('exit', () => running.delete(child));
  return { child, output: () => output };
}

/** Runs a program to its end and resolves to what it wrote; rejects with its own words when it fails. */
export async function outputOf(command: string, args: readonly string[], options: StartOptions = {}): Promise<string> {
  const { child, output } = spawnPinned(command, args, options);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${output()}`);
  return output();
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await gone;
  clearTimeout(late);
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('the listening address has no port');
  return address.port;
}

/** Waits until something accepts connections at a port; rejects with the process's own words when it does not, ms. */
export async function untilListening(port: number, started: Started, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await accepts(port))) {
    if (Date.now() > deadline || !isAlive(started.pid)) {
      await started.stop();
      throw new Error(`nothing listens at port ${port}: ${started.output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Waits until a process has written a word; rejects with what it wrote when it does not, ms. */
export async function untilItSays(word: string, started: Started, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!started.output().includes(word)) {
    if (Date.now() > deadline || !isAlive(started.pid)) {
      await started.stop();
      throw new Error(`the process did not say "${word}": ${started.output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** CPU time in seconds. */
export interface CpuTime {
  readonly own: number;
  /** The descendants' as well. */
  readonly all: number;
}

/** CPU time that a process, by itself and with its descendants, has used so far. Linux only. */
export function cpuTimeOf(pid: number): CpuTime {
  const TICKS_PER_SECOND = 100;
  const statOf = new Map<number, { parent: number; ticks: number }>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const fields = readFileSync(`/proc/${name}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      statOf.set(Number(name), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) });
    } catch {
      // It ended between the listing and the reading.
    }
  }
  let ticks = 0;
  const add = (root: number) => {
    ticks += statOf.get(root)?.ticks ?? 0;
    for (const [child, { parent }] of statOf) if (parent === root) add(child);
  };
  add(pid);
  return { own: (statOf.get(pid)?.ticks ?? 0) / TICKS_PER_SECOND, all: ticks / TICKS_PER_SECOND };
}
