import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(__dirname, '..', '..');

/** What `mlcdn ... --json` prints. Rejects when it exits with anything but 0. */
export async function mlcdn(...args: string[]): Promise<Record<string, unknown>> {
  const cli = join(ROOT, 'bin', 'mlcdn.cjs');
  const { stdout } = await promisify(execFile)(process.execPath, [cli, ...args, '--json'], { cwd: ROOT });
  return JSON.parse(stdout) as Record<string, unknown>;
}
