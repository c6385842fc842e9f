import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const ROOT = join(__dirname, '..', '..');

/**
 * By layer, what it may import of the project, itself apart; types alone may come from anywhere in `lib`. The longest
 * name that begins a path is its layer.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'lib/core': [],
  'lib/config': ['lib/core'],
  'lib/aws': ['lib/core'],
  'lib/control': ['lib/core', 'lib/aws', 'lib/config'],
  'lib/constructs': ['lib/core', 'lib/config'],
  'lib/stacks': ['lib/core', 'lib/config', 'lib/constructs'],
  'lib/checks': ['lib/core', 'lib/config', 'containers', 'local'],
  lambda: ['lib/core', 'lib/aws'],
  containers: ['lib/core'],
  local: ['lib/core', 'lib/config'],
  'local/mutation': ['lib/core', 'lib/config', 'lib/control', 'lib/checks', 'local'],
};
/** Layers whose code runs where there is no CDK. */
const WITHOUT_CDK = ['lib/core', 'lib/aws', 'lib/control', 'lambda', 'containers', 'local', 'local/mutation'];
const IMPORT = /^\s*(?:import|export)\s(type\s)?(?:[^'"]*?\sfrom\s)?\s*['"]([^'"]+)['"]/gm;

function layerOf(path: string): string | undefined {
  const names = Object.keys(MAY_IMPORT).filter((name) => path === name || path.startsWith(`${name}/`));
  return names.sort((a, b) => b.length - a.length)[0];
}

function sources(directory: string): string[] {
  return readdirSync(join(ROOT, directory), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(directory, file));
}

/** What a source imports: names of packages, and paths from the root for files. */
function importsOf(file: string): { readonly target: string; readonly typeOnly: boolean }[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(IMPORT)].map(([, type, specifier = '']) => ({
    target: specifier.startsWith('.') ? relative(ROOT, join(ROOT, dirname(file), specifier)) : specifier,
    typeOnly: type !== undefined,
  }));
}

const files = ['lib', 'lambda', 'containers', 'local'].flatMap(sources);

test('every source belongs to a layer', () => {
  expect(files.length).toBeGreaterThan(200);
  expect(files.filter((file) => layerOf(file) === undefined)).toEqual([]);
});

test('imports point one way', () => {
  const wrong = files.flatMap((file) => {
    const from = layerOf(file) ?? '';
    return importsOf(file)
      .filter(({ target, typeOnly }) => {
        const to = layerOf(target);
        if (to === undefined || to === from || (typeOnly && to.startsWith('lib/'))) return false;
        return !MAY_IMPORT[from]?.includes(to);
      })
      .map(({ target }) => `${file} imports ${target}`);
  });
  expect(wrong).toEqual([]);
});

test('what runs at AWS or on this machine knows no CDK', () => {
  const wrong = files.filter(
    (file) =>
      WITHOUT_CDK.includes(layerOf(file) ?? '') &&
      importsOf(file).some(({ target }) => /^(aws-cdk-lib|constructs|cdk-nag)(\/|$)/.test(target)),
  );
  expect(wrong).toEqual([]);
});
