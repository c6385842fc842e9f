import { readFile, readlink, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Claims a directory for this process by a symbolic link `owner` that names it, and returns how to give the claim back.
 * A link, because it is made whole in one step and needs no free block on a disk that is full. A claim whose process
 * has ended is taken over. Rejects, naming the other process, when the directory is in use.
 */
export async function claimDirectory(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, 'owner');
  const self = `${process.pid} ${await startTime(process.pid)}`;
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await symlink(self, path);
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    // Something else of this name names nobody.
    const owner = await readlink(path).catch(() => '');
    if (owner === self || (await isRunning(owner))) {
      throw new Error(`${directory} is in use by process ${owner.split(' ')[0]}; every cache needs its own directory`);
    }
    await rm(path, { force: true });
  }
  throw new Error(`${directory} is being claimed by another process at the same time`);
}

async function isRunning(owner: string): Promise<boolean> {
  const pid = Number.parseInt(owner, 10);
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, as somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return owner === `${pid} ${await startTime(pid)}`;
}

/**
 * When a process started, in clock ticks since boot (proc(5), field 22 of `stat`): process ids are reused, above all
 * in containers, where the first is always 1. `unknown` where there is no /proc.
 */
async function startTime(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return afterName[19] ?? 'unknown';
}
