import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { synthesizeInto } from './breaking';

const SCRIPT = join(__dirname, '../../scripts/check-infra.ts');
/** Of one start of the command on a busy machine. */
const TIMEOUT_MS = 120_000;

const workingDirectory = mkdtempSync(join(tmpdir(), 'check-infra-'));
const assembly = join(workingDirectory, '.build', 'synth', 'dev');

beforeAll(() => synthesizeInto(assembly, 'dev', ['us-east-1']), TIMEOUT_MS);
afterAll(() => rmSync(workingDirectory, { recursive: true, force: true }));

function checkInfra(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const command = ['--require', require.resolve('tsx/cjs'), SCRIPT, ...args];
  return spawnSync(process.execPath, command, { cwd: workingDirectory, encoding: 'utf8' });
}

describe('npm run check:infra', () => {
  test(
    'says that sound templates give no finding',
    () => {
      const { status, stdout, stderr } = checkInfra('--reuse', '--env', 'dev');
      expect(stderr).toBe('');
      expect(stdout).toMatch(/^dev: no finding, \d+ checks over \d+ resources in \d+ stacks\n$/);
      expect(status).toBe(0);
    },
    TIMEOUT_MS,
  );

  test(
    'says where a template is wrong, and what would be right',
    () => {
      const stage = join(assembly, readdirSync(assembly).find((name) => name.startsWith('assembly-')) ?? '');
      const file = join(stage, readdirSync(stage).find((name) => /edge.*\.template\.json$/.test(name)) ?? '');
      const sound = readFileSync(file, 'utf8');
      try {
        writeFileSync(file, sound.replaceAll('cache.t4g.micro', 'cache.t4g.tiny'));
        const { status, stdout } = checkInfra('--reuse', '--env', 'dev');
        for (const part of ['dev: 1 finding,', 'existing-names', 'cache.t4g.tiny does not exist', 'cache.t4g.micro'])
          expect(stdout).toContain(part);
        expect(status).toBe(1);
      } finally {
        writeFileSync(file, sound);
      }
    },
    TIMEOUT_MS,
  );

  test(
    'fails where there is no assembly to reuse',
    () => {
      const { status, stderr } = checkInfra('--reuse', '--env', 'prod');
      expect(stderr).toContain(join('.build', 'synth', 'prod'));
      expect(status).toBe(1);
    },
    TIMEOUT_MS,
  );

  test.each([[['--env', 'production']], [['--all']]])(
    'takes %j for wrong usage',
    (args) => {
      const { status, stderr } = checkInfra(...args);
      expect(stderr).toContain('usage: npm run check:infra');
      expect(status).toBe(2);
    },
    TIMEOUT_MS,
  );
});
