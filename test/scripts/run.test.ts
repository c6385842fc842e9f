import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'run-'));
  mkdirSync(join(directory, 'checkout', 'scripts'), { recursive: true });
  copyFileSync('scripts/run.mjs', join(directory, 'checkout', 'scripts', 'run.mjs'));
  writeFileSync(join(directory, 'checkout', 'package-lock.json'), '{"lockfileVersion":3,"packages":{}}');
});

afterEach(() => rmSync(directory, { recursive: true }));

/** Runs `npm test` of the checkout. An `npm` that records being called stands first in the path. */
function runTask() {
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'npm'), `#!/bin/sh\ntouch '${join(directory, 'npm-ran')}'\nexit 1\n`, { mode: 0o755 });
  const result = spawnSync(process.execPath, [join(directory, 'checkout', 'scripts', 'run.mjs'), 'test'], {
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
    encoding: 'utf8',
  });
  return { ...result, npmRan: existsSync(join(directory, 'npm-ran')) };
}

describe('where node_modules is a symbolic link', () => {
  test("another checkout's dependencies are left alone and the refusal says why and what to do", () => {
    const others = join(directory, 'others');
    mkdirSync(others);
    writeFileSync(join(others, '.mlcdn-installed'), 'the digest of another lockfile');
    symlinkSync(others, join(directory, 'checkout', 'node_modules'));
    const { status, stderr, npmRan } = runTask();
    expect(stderr).toContain(`node_modules is a symbolic link to ${others}`);
    expect(stderr).toContain('`rm node_modules`');
    expect(status).toBe(1);
    expect(npmRan).toBe(false);
    // Also the mark by which that checkout knows that it is installed.
    expect(existsSync(join(others, '.mlcdn-installed'))).toBe(true);
    expect(lstatSync(join(directory, 'checkout', 'node_modules')).isSymbolicLink()).toBe(true);
  });

  test('a link that leads nowhere is refused too', () => {
    symlinkSync(join(directory, 'gone'), join(directory, 'checkout', 'node_modules'));
    const { status, stderr, npmRan } = runTask();
    expect(stderr).toContain('node_modules is a symbolic link that leads nowhere');
    expect(status).toBe(1);
    expect(npmRan).toBe(false);
  });
});

test('a checkout without dependencies installs them', () => {
  const { npmRan, stderr } = runTask();
  expect(stderr).toContain('installing dependencies');
  expect(npmRan).toBe(true);
});
