import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** A process of this machine. */
export interface RunningProcess {
  readonly pid: number;
  readonly parent: number;
  readonly startedAt: string;
  readonly command: string;
}

/** Every process, as `ps` sees it now. */
async function processes(): Promise<RunningProcess[]> {
  const { stdout } = await promisify(execFile)('ps', ['-ww', '-eo', 'pid=,ppid=,lstart=,args=']);
  return stdout.split('\n').flatMap((line) => {
    const [, pid, parent, startedAt = '', command = ''] =
      /^\s*(\d+)\s+(\d+)\s+(\S+ \S+ +\d+ \S+ \d+)\s+(.*)$/.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), startedAt, command }];
  });
}

/** The children of a process, their children, and so on. */
export async function descendantsOf(pid: number): Promise<RunningProcess[]> {
  const all = await processes();
  const childrenOf = (parent: number): RunningProcess[] =>
    all.filter((process) => process.parent === parent).flatMap((child) => [child, ...childrenOf(child.pid)]);
  return childrenOf(pid);
}

/**
 * Waits until none of these runs any more, and gives back those that still do after five seconds: helpers that end with
 * their parent's pipe need a moment, an orphan never ends. By id and start, for an orphan gets another parent and Redis
 * rewrites its command line.
 */
export async function stillRunning(started: readonly RunningProcess[]): Promise<string[]> {
  const deadline = Date.now() + 5_000;
  for (;;) {
    const alive = (await processes()).map(({ pid, startedAt }) => `${pid} ${startedAt}`);
    const left = started.filter(({ pid, startedAt }) => alive.includes(`${pid} ${startedAt}`));
    if (left.length === 0 || Date.now() > deadline) return left.map(({ command }) => command);
    await sleep(50);
  }
}
