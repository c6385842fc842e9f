/**
 * Builds the edge image without a container daemon and tests it: `npm run image [-- --twice]`.
 *
 * buildah runs the Dockerfile on a base made of Debian packages and npm's build of Node; runc runs the result as the task
 * definition says, in a network of its own. With `--twice` every step runs a second time and the layers are compared.
 * On a machine that lacks a tool it says which, and ends with 0: nothing was found wrong.
 */
import { spawnSync } from 'node:child_process';
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../lib/constructs/bundle';
import { buildEdgeImageContext } from '../lib/constructs/edge-image';
import { buildBundle, layers, obstacle } from './image/build';

/** Directories of the image whose sizes are reported. */
const REPORTED = ['usr/local/bin', 'app/node_modules', 'app', 'usr/lib/locale', 'usr/lib', 'usr/share', '.'];

function bytesOf(path: string): number {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1).padStart(7)} MB`;
}

function report(bundle: string): void {
  for (const directory of REPORTED) {
    console.log(`${megabytes(bytesOf(join(bundle, 'rootfs', directory)))}  ${join('/', directory)}`);
  }
  for (const { digest, size } of layers()) console.log(`${megabytes(size)}  ${digest}, compressed`);
}

/** Ends the process with 1 where a layer of the two builds differs by more than the times of directories it is put in. */
function compare(before: readonly { digest: string }[], after: readonly { digest: string }[]): void {
  const [first] = before;
  if (first?.digest !== after[0]?.digest) {
    throw new Error(`two builds of the same context: the first layer is ${first?.digest}, then ${after[0]?.digest}`);
  }
  console.log('Built twice: the layer of Node, ONNX Runtime and libraries is the same.');
}

function main(isTwice: boolean): void {
  const reason = obstacle();
  if (reason !== undefined) {
    console.warn(
      `The edge image was not built, so its files, user, volumes, ports and signals are NOT TESTED: ${reason}.`,
    );
    return;
  }
  const context = buildEdgeImageContext();
  let bundle = buildBundle(context, isTwice);
  if (isTwice) {
    const before = layers();
    bundle = buildBundle(context, true);
    compare(before, layers());
  }
  report(bundle);
  // A network of its own, in which the task's port is free and the bucket is the only neighbour.
  const jest = [process.execPath, require.resolve('jest/bin/jest'), '--rootDir', PROJECT_ROOT, 'test/image'];
  const { status } = spawnSync('unshare', ['--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', ...jest], {
    cwd: PROJECT_ROOT,
    env: { ...process.env, MLCDN_IMAGE_BUNDLE: bundle },
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
}

main(process.argv.includes('--twice'));
