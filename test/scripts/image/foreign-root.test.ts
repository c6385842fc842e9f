import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readElf } from '../../../scripts/image/elf';
import { copyLibraries, nativeFiles } from '../../../scripts/image/foreign-root';

const NATIVES = join(dirname(require.resolve('onnxruntime-node/package.json')), 'bin', 'napi-v6', 'linux');
const ARM64 = join(NATIVES, 'arm64');

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'root-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("the natives that production gets of ONNX Runtime are arm64's, whatever this machine is", () => {
  const files = nativeFiles(ARM64);
  expect(files.map(({ path }) => path)).toEqual(expect.arrayContaining(['onnxruntime_binding.node']));
  expect(files.length).toBe(readdirSync(ARM64).length);
  for (const file of files) expect(file).toMatchObject({ architecture: 'arm64', interpreter: undefined });
  const binding = files.find(({ path }) => path === 'onnxruntime_binding.node');
  expect(binding?.needed).toEqual(expect.arrayContaining(['libonnxruntime.so.1', 'libc.so.6', 'libstdc++.so.6']));
});

test('those of another architecture are told apart', () => {
  for (const { architecture } of nativeFiles(join(NATIVES, 'x64'))) expect(architecture).toBe('x64');
});

test('what is no ELF file is none', () => {
  const script = join(directory, 'script.sh');
  writeFileSync(script, '#!/bin/sh\necho\n');
  expect(readElf(script)).toBeUndefined();
  expect(nativeFiles(directory)).toEqual([]);
});

test('a library that Debian does not have either is named, with who needs it', () => {
  const debian = join(directory, 'debian');
  const root = join(directory, 'root');
  mkdirSync(debian);
  cpSync(ARM64, join(root, 'app'), { recursive: true });
  expect(() => copyLibraries(root, debian, 'arm64')).toThrow(/^app\/\S+ needs \S+\.so\S*, which is not in /);
});

test('libraries come with those that they need themselves', () => {
  const debian = join(directory, 'debian', 'usr/lib/aarch64-linux-gnu');
  const root = join(directory, 'root');
  mkdirSync(debian, { recursive: true });
  // Stand-ins: the binding in the place of each library, needing the others and ONNX Runtime's own.
  for (const name of [
    'libc.so.6',
    'libstdc++.so.6',
    'libgcc_s.so.1',
    'libm.so.6',
    'libpthread.so.0',
    'libdl.so.2',
    'librt.so.1',
    'ld-linux-aarch64.so.1',
  ])
    cpSync(join(ARM64, 'onnxruntime_binding.node'), join(debian, name));
  mkdirSync(root);
  cpSync(join(ARM64, 'onnxruntime_binding.node'), join(root, 'onnxruntime_binding.node'));
  expect(() => copyLibraries(root, join(directory, 'debian'), 'arm64')).toThrow('needs libonnxruntime.so.1');
  cpSync(join(ARM64, 'libonnxruntime.so.1'), join(root, 'libonnxruntime.so.1'));
  copyLibraries(root, join(directory, 'debian'), 'arm64');
  const names = nativeFiles(root).map(({ path }) => path);
  expect(names).toEqual(expect.arrayContaining(['usr/lib/aarch64-linux-gnu/libc.so.6']));
});
