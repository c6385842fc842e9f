import { mkdirSync, readFileSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LocalConnection } from '../lib/control/local-connection';

export const PROJECT_ROOT = join(__dirname, '..');
/** Everything the local CDN writes: logs, object storage, disk caches, the assembly it runs. */
export const STATE_DIR = join(PROJECT_ROOT, '.mlcdn');
const LOCK_FILE = join(STATE_DIR, 'lock');
const CONNECTION_FILE = join(STATE_DIR, 'local.json');
const MIN_FREE_BYTES = 300e6;

/** A failure that has one sentence for the person at the terminal and needs no stack trace. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function lockHolder(): number | undefined {
  try {
    const pid = Number(readFileSync(LOCK_FILE, 'utf8'));
    return Number.isInteger(pid) && pid > 0 && isAlive(pid) ? pid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Claims the state directory for this process.
 * @throws StartError when another local CDN runs from this checkout, or the disk is full or read-only.
 */
export function claimState(): void {
  try {
    mkdirSync(STATE_DIR, { recursive: true });
    const { bavail, bsize } = statfsSync(STATE_DIR);
    if (bavail * bsize < MIN_FREE_BYTES) {
      throw new StartError(
        `only ${Math.round((bavail * bsize) / 1e6)} MB are free under ${STATE_DIR}; free at least ${MIN_FREE_BYTES / 1e6} MB and start again.`,
      );
    }
    const holder = lockHolder();
    if (holder !== undefined) {
      throw new StartError(
        `a local CDN of this checkout is already running (process ${holder}); stop it with Ctrl-C first.`,
      );
    }
    rmSync(LOCK_FILE, { force: true });
    writeFileSync(LOCK_FILE, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(
      `cannot write to ${STATE_DIR}: ${(error as Error).message}. Make it writable and start again.`,
    );
  }
}

/** Gives the state directory back. */
export function releaseState(): void {
  rmSync(CONNECTION_FILE, { force: true });
  rmSync(LOCK_FILE, { force: true });
}

/** Announces the running CDN to the CLI, whole or not at all. */
export function writeConnection(connection: LocalConnection): void {
  writeFileSync(`${CONNECTION_FILE}.tmp`, JSON.stringify(connection, null, 2), { mode: 0o600 });
  renameSync(`${CONNECTION_FILE}.tmp`, CONNECTION_FILE);
}
