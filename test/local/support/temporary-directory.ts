import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory that is removed after the tests of the calling file or block. */
export function temporaryDirectory(): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'mlcdn-test-')));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
