import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const POLL_MS = 50;

/** Runs an action while no other process of this machine holds the lock of that path. Waits without yielding. */
export function whileLocked(path: string, action: () => void): void {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    while (!isTaken(path, own)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
    try {
      action();
    } finally {
      rmSync(path, { force: true });
    }
  } finally {
    rmSync(own, { force: true });
  }
}

/** Takes the lock where it is free, by a link: it has its holder's id from the start. One whose holder has ended is freed. */
function isTaken(path: string, own: string): boolean {
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (!isRunning(holderOf(path))) rmSync(path, { force: true });
  return false;
}

/** Process id of the holder, or this process's own when the lock has just been released. */
function holderOf(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return process.pid;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
