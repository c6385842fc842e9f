import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A small file system of its own, when this process may mount one. */
export class SmallDisk {
  readonly directory = mkdtempSync(join(tmpdir(), 'mlcdn-small-'));

  /** False, and said, where nothing can be mounted. */
  mount(bytes: number): boolean {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', this.directory], { stdio: 'pipe' });
      return true;
    } catch (error) {
      process.stdout.write(`skipped, no file system can be mounted here: ${(error as Error).message}\n`);
      rmdirSync(this.directory);
      return false;
    }
  }

  /** Changes options of the mount: `ro`, `rw`, `size=..`. */
  remount(options: string): void {
    execFileSync('mount', ['-o', `remount,${options}`, this.directory], { stdio: 'pipe' });
  }

  unmount(): void {
    // Lazily, for a test that fails leaves files open.
    execFileSync('umount', ['-l', this.directory], { stdio: 'pipe' });
    rmdirSync(this.directory);
  }
}
