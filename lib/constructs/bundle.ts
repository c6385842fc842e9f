import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type BuildOptions, buildSync } from 'esbuild';

/** Root of the project; paths of entry points and build results are given relative to it. */
export const PROJECT_ROOT = join(__dirname, '..', '..');

/** Where bundles are written before they are staged as assets; not under version control. */
export const BUILD_DIRECTORY = join(PROJECT_ROOT, '.build');

/** Files that are being written. */
const UNFINISHED = join(BUILD_DIRECTORY, 'unfinished');

/**
 * Bundles one entry point (path relative to the project) into one file's text. The text depends on the sources alone,
 * so that an unchanged program keeps its asset hash.
 */
export function bundleText(entry: string, options: BuildOptions): string {
  const result = buildSync({
    absWorkingDir: PROJECT_ROOT,
    entryPoints: [entry],
    bundle: true,
    write: false,
    legalComments: 'none',
    logLevel: 'silent',
    ...options,
  });
  const [output] = result.outputFiles ?? [];
  if (!output) throw new Error(`esbuild wrote nothing for ${entry}`);
  return output.text;
}

/**
 * Writes a file below the build directory unless it already holds this content. Whole or not at all, for another synthesis
 * may read it meanwhile, and is made outside its directory, all of whose files the other may take for an asset.
 */
export function writeIfChanged(path: string, content: Buffer | string): void {
  const bytes = Buffer.from(content);
  if (existingContent(path)?.equals(bytes)) return;
  mkdirSync(dirname(path), { recursive: true });
  mkdirSync(UNFINISHED, { recursive: true });
  const temporary = join(UNFINISHED, `${process.pid}-${basename(path)}`);
  writeFileSync(temporary, bytes);
  renameSync(temporary, path);
}

function existingContent(path: string): Buffer | undefined {
  return existsSync(path) ? readFileSync(path) : undefined;
}
