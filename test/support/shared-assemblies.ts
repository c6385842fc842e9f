import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type EnvironmentConfig, loadConfig, parseConfig } from '../../lib/config';
import { prod } from '../../lib/config/prod';
import { BUILD_DIRECTORY, PROJECT_ROOT } from '../../lib/constructs/bundle';
import { fingerprint } from '../../local/synthesis';
import { whileLocked } from './file-lock';

const PROGRAM = join(__dirname, 'synthesize.ts');
/** Longer than a run of all tests. */
const UNUSED_AFTER_MS = 3_600_000;
const SHARED = join(BUILD_DIRECTORY, 'test', 'assemblies');

/**
 * What test files look at. Loading the CDK takes several times as long as synthesizing an environment with it, so the first
 * file that needs one of them makes them all.
 */
const COMMON: readonly (() => EnvironmentConfig)[] = [
  () => loadConfig('prod'),
  () => loadConfig('prod', { regions: ['us-east-1', 'eu-west-1'] }),
  () => prodWithRoute53Checkers(),
  () => loadConfig('staging'),
  () => loadConfig('dev'),
  () => loadConfig('local'),
  () => loadConfig('local', { regions: ['us-east-1', 'eu-west-1'] }),
  () => loadConfig('local', { regions: ['eu-west-1'] }),
];

/** `prod`, where the health checkers of Route 53 are let in by a prefix list of theirs. */
export function prodWithRoute53Checkers(): EnvironmentConfig {
  return parseConfig({
    ...prod,
    regions: prod.regions.map((row) => ({ ...row, route53PrefixListId: 'pl-0123456789' })),
  });
}

let sources: string | undefined;

/**
 * Directory of an environment's cloud assembly as `cdk synth` writes it, programs bundled, without validation. All test
 * files share it, and later runs do too: it is named after the content of everything that it is made of. Not to be
 * written to.
 * @throws with what the CDK app said when the environment cannot be synthesized
 */
export function sharedAssembly(config: EnvironmentConfig): string {
  // Once per test file: the sources do not change while tests run.
  sources ??= fingerprint([
    readFileSync(PROGRAM, 'utf8'),
    readFileSync(join(PROJECT_ROOT, 'node_modules', '.package-lock.json'), 'utf8'),
    process.version,
  ]);
  const parent = join(SHARED, sources);
  const directory = directoryOf(parent, config);
  if (existsSync(directory)) return directory;
  mkdirSync(parent, { recursive: true });
  whileLocked(join(parent, 'lock'), () => {
    if (existsSync(directory)) return;
    forget(SHARED, sources);
    const configs = [config, ...COMMON.map((load) => load())];
    const missing = configs.map((each) => [directoryOf(parent, each), each] as const);
    synthesize(Object.fromEntries(missing.filter(([path]) => !existsSync(path))));
  });
  return directory;
}

/** Removes what was made of other sources, unless so lately that tests of theirs may still run. */
function forget(parent: string, except: string | undefined): void {
  for (const name of readdirSync(parent)) {
    const path = join(parent, name);
    if (name !== except && Date.now() - statSync(path).mtimeMs > UNUSED_AFTER_MS)
      rmSync(path, { recursive: true, force: true });
  }
}

function directoryOf(parent: string, config: EnvironmentConfig): string {
  const content = createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 16);
  return join(parent, `${config.name}-${content}`);
}

function synthesize(configByDirectory: Readonly<Record<string, EnvironmentConfig>>): void {
  const command = ['--require', require.resolve('tsx/cjs'), PROGRAM, JSON.stringify(configByDirectory)];
  const { status, stderr, error } = spawnSync(process.execPath, command, {
    cwd: PROJECT_ROOT,
    encoding: 'utf8',
    env: { ...process.env, CDK_VALIDATION: 'false' },
  });
  if (status !== 0) throw new Error(`synthesizing failed:\n${stderr || error?.message}`);
}
