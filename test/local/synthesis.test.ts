import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { fingerprint, SOURCES } from '../../local/synthesis';

const ROOT = join(__dirname, '..', '..');
let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'mlcdn-sources-'));
  for (const directory of ['bin', 'lib/core', 'lambda', 'containers']) {
    mkdirSync(join(project, directory), { recursive: true });
  }
  for (const file of [
    'cdk.json',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'lib/core/a.ts',
    'lambda/b.js',
  ]) {
    change(file, 'x');
  }
});
afterEach(() => rmSync(project, { recursive: true }));

const change = (path: string, text: string) => writeFileSync(join(project, path), text);

test.each<[what: string, () => void]>([
  ['a changed source', () => change('lib/core/a.ts', 'y')],
  ['a new source', () => change('containers/c.txt', '')],
  ['a source gone', () => rmSync(join(project, 'lambda/b.js'))],
  ['a source of another name', () => renameSync(join(project, 'lib/core/a.ts'), join(project, 'lib/core/b.ts'))],
  ['another set of packages', () => change('package-lock.json', '{}')],
  ['other flags of the CDK', () => change('cdk.json', '{}')],
])('%s gives another assembly', (_, edit) => {
  const before = fingerprint(['us-east-1'], project);
  edit();
  expect(fingerprint(['us-east-1'], project)).not.toBe(before);
});

test('other regions give another assembly, the same in another place the same', () => {
  const before = fingerprint(['us-east-1', 'eu-west-1'], project);
  expect(fingerprint(['us-east-1,eu-west-1'], project)).not.toBe(before);
  expect(fingerprint(['us-east-1'], project)).not.toBe(before);
  const copy = mkdtempSync(join(tmpdir(), 'mlcdn-sources-'));
  try {
    cpSync(project, copy, { recursive: true });
    expect(fingerprint(['us-east-1', 'eu-west-1'], copy)).toBe(before);
  } finally {
    rmSync(copy, { recursive: true });
  }
});

test('every file that the app imports or bundles is among the sources', async () => {
  const entryPoints = [
    'bin/mlcdn-app.ts',
    'containers/edge/main.ts',
    'containers/edge/worker.ts',
    ...readdirSync(join(ROOT, 'lambda')).map((name) => `lambda/${name}/handler.ts`),
  ].filter((path) => existsSync(join(ROOT, path)));
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints,
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    packages: 'external',
    outdir: 'unused',
  });
  const files = Object.keys(metafile.inputs);
  expect(files.length).toBeGreaterThan(100);
  expect(files.filter((file) => !SOURCES.some((source) => file === source || file.startsWith(`${source}/`)))).toEqual(
    [],
  );
});
