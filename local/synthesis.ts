import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { PROJECT_ROOT, STATE_DIR, StartError } from './state';

/** Everything whose change can change the assembly. */
export const SOURCES = [
  'bin',
  'lib',
  'lambda',
  'containers',
  'cdk.json',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
];

/** Files below a directory in a stable order; the path itself when it is a file. */
export function* filesUnder(path: string): Generator<string> {
  let entries: import('node:fs').Dirent[];
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch {
    yield path;
    return;
  }
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) yield* filesUnder(child);
    else yield child;
  }
}

/** Names what is synthesized from the sources as they are and from whatever else is `given`: equal names, equal content. */
export function fingerprint(given: readonly string[], root: string = PROJECT_ROOT): string {
  const hash = createHash('sha256').update(JSON.stringify(given));
  for (const source of SOURCES) {
    for (const file of filesUnder(join(root, source))) {
      hash.update(JSON.stringify([relative(root, file), statSync(file).size])).update(readFileSync(file));
    }
  }
  return hash.digest('hex').slice(0, 16);
}

/** Runs the CDK app as `cdk synth` would, without the CLI's own start-up time. */
function runApp(outdir: string, regions: readonly string[], signal: AbortSignal): Promise<void> {
  const cdk = JSON.parse(readFileSync(join(PROJECT_ROOT, 'cdk.json'), 'utf8')) as { context?: Record<string, unknown> };
  const context = { ...cdk.context, env: 'local', regions: regions.join(',') };
  const child = spawn(process.execPath, ['--require', 'tsx/cjs', join(PROJECT_ROOT, 'bin', 'mlcdn-app.ts')], {
    cwd: PROJECT_ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    env: {
      ...process.env,
      CDK_OUTDIR: outdir,
      CDK_CONTEXT_JSON: JSON.stringify(context),
      // The same templates are validated by the tests; here the wait would only delay the start.
      CDK_VALIDATION: 'false',
      MLCDN_NAG: 'off',
    },
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new StartError(`synthesizing environment local failed:\n${output.trim()}`));
    });
  });
}

/**
 * The cloud assembly of environment `local` for these regions: synthesized when a source changed, reused otherwise.
 * It lies inside the project, so that staged code finds the project's `node_modules`.
 */
export async function localAssembly(
  regions: readonly string[],
  signal: AbortSignal,
): Promise<{ directory: string; reused: boolean }> {
  const parent = join(STATE_DIR, 'assembly');
  const directory = join(parent, fingerprint(regions));
  if (existsSync(join(directory, 'manifest.json'))) return { directory, reused: true };
  rmSync(parent, { recursive: true, force: true });
  const partial = `${directory}.partial`;
  await runApp(partial, regions, signal);
  renameSync(partial, directory);
  return { directory, reused: false };
}
