/**
 * Lays the natives of the edge image together for arm64, as production runs it, on a machine of any architecture:
 * `npm run image:arm64`. Node, ONNX Runtime and Debian's libraries are unpacked, never run; then every ELF file must be of
 * arm64 and find its loader and libraries in the root file system. Needs mmdebstrap and root, as `npm run image` does.
 */
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { BUILD_DIRECTORY, PROJECT_ROOT } from '../lib/constructs/bundle';
import { baseImage } from './image/base-image';
import { DEBIAN_MIRROR, obstacle, run, unpackPackage } from './image/build';
import { copyLibraries, loaderPlace, type NativeFile, nativeFiles } from './image/foreign-root';

const ARCHITECTURE = 'arm64';
const WORK = join(BUILD_DIRECTORY, 'image', ARCHITECTURE);
const RUNTIME = 'app/node_modules/onnxruntime-node/bin/napi-v6/linux/arm64';

function unpackDebian(suite: string): string {
  const directory = join(WORK, 'debian');
  mkdirSync(directory, { recursive: true });
  const tar = join(WORK, 'debian.tar');
  const options = ['--quiet', `--architectures=${ARCHITECTURE}`, '--variant=extract', '--include=libc6,libstdc++6'];
  run('mmdebstrap', ...options, suite, tar, DEBIAN_MIRROR);
  run('tar', '--extract', '--file', tar, '--directory', directory, '--exclude=./dev');
  return directory;
}

/** Faults of the root file system, in words. */
function faults(files: readonly NativeFile[]): string[] {
  const names = new Set(files.map(({ path }) => basename(path)));
  const paths = new Set(files.map(({ path }) => path));
  return files.flatMap(({ path, architecture, needed, interpreter }) => [
    ...(architecture === ARCHITECTURE ? [] : [`${path} is of ${architecture}, not of ${ARCHITECTURE}`]),
    ...needed.filter((name) => !names.has(name)).map((name) => `${path} needs ${name}, which is not there`),
    ...(interpreter === undefined || paths.has(loaderPlace(interpreter))
      ? []
      : [`${path} needs the loader ${interpreter}`]),
  ]);
}

function main(): void {
  const reason = obstacle(['mmdebstrap']);
  if (reason !== undefined) {
    console.warn(`The natives for ${ARCHITECTURE} were not laid together, so they are NOT TESTED: ${reason}.`);
    return;
  }
  const dockerfile = readFileSync(join(PROJECT_ROOT, 'containers', 'edge', 'image', 'Dockerfile'), 'utf8');
  const { nodeVersion, suite } = baseImage(dockerfile);
  rmSync(WORK, { recursive: true, force: true });
  const root = join(WORK, 'rootfs');
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
  cpSync(
    join(unpackPackage(`node-linux-${ARCHITECTURE}@${nodeVersion}`), 'bin', 'node'),
    join(root, 'usr/local/bin/node'),
  );
  cpSync(join(PROJECT_ROOT, RUNTIME.replace(/^app\//, '')), join(root, RUNTIME), { recursive: true });
  copyLibraries(root, unpackDebian(suite), ARCHITECTURE);

  const files = nativeFiles(root);
  for (const { path, bytes } of files) console.log(`${(bytes / 1e6).toFixed(1).padStart(7)} MB  /${path}`);
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  console.log(`${(total / 1e6).toFixed(1).padStart(7)} MB  in ${files.length} ELF files of ${ARCHITECTURE}`);
  const wrong = faults(files);
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
}

main();
