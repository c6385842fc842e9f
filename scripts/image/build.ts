import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { BUILD_DIRECTORY, PROJECT_ROOT } from '../../lib/constructs/bundle';
import { baseImage } from './base-image';

/** Tools that build and run an image without a daemon, with the Debian package that has each. */
const TOOLS: Readonly<Record<string, string>> = {
  buildah: 'buildah',
  mmdebstrap: 'mmdebstrap',
  runc: 'runc',
  umoci: 'umoci',
  unshare: 'util-linux',
  ip: 'iproute2',
};

/** npm of the stand-in for the base image. */
const NPM_VERSION = '11.19.1';

export const DEBIAN_MIRROR = 'http://deb.debian.org/debian';

const WORK = join(BUILD_DIRECTORY, 'image');

/** What keeps this machine from building images with the tools, and says what would help; `undefined`: nothing. */
export function obstacle(tools: readonly string[] = Object.keys(TOOLS)): string | undefined {
  if (process.platform !== 'linux') return `images are built on Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'building without a daemon needs root';
  const missing = tools.filter((tool) => !succeeds('sh', '-c', `command -v ${tool}`));
  if (missing.length > 0) {
    const packages = missing.map((tool) => TOOLS[tool]).join(' ');
    return `missing: ${missing.join(', ')}; on Debian: apt-get install --no-install-recommends ${packages}`;
  }
  if (!succeeds('unshare', '--mount', '--net', '--pid', '--fork', 'mount', '-t', 'tmpfs', 'none', '/mnt')) {
    return 'this process may not mount or make namespaces; a container needs --privileged';
  }
  if (!succeeds('test', '-w', '/sys/fs/cgroup'))
    return 'runc needs /sys/fs/cgroup writable; a container needs --privileged';
  return undefined;
}

function succeeds(command: string, ...words: string[]): boolean {
  return spawnSync(command, words, { stdio: 'ignore' }).status === 0;
}

/**
 * Builds the image of a context with buildah, in a storage of its own below `.build`, and unpacks it.
 *
 * The base is the one that the Dockerfile names, but made here of Debian packages and npm's builds of Node, since
 * nothing here asks a registry; it is kept for the next time.
 * @param isFresh whether every step is run again, also one whose inputs are those of the last time
 * @returns directory of an OCI runtime bundle: `rootfs`, and `config.json` as the image configures it
 */
export function buildBundle(contextDirectory: string, isFresh = false): string {
  const { nodeVersion, suite } = baseImage(readFileSync(join(contextDirectory, 'Dockerfile'), 'utf8'));
  const base = `localhost/mlcdn-base:node-${nodeVersion}-${suite}`;
  if (!succeeds('buildah', ...storage(), 'inspect', '--type', 'image', base)) buildBase(base, nodeVersion, suite);
  const cache = isFresh ? ['--no-cache'] : [];
  buildah(
    'bud',
    '--pull-never',
    '--isolation',
    'chroot',
    // Each layer is a copy there: one for all is enough, but for comparing them.
    `--layers=${driver() === 'overlay' || isFresh}`,
    ...cache,
    '--format',
    'docker',
    '--build-arg',
    `NODE_IMAGE=${base}`,
    '--tag',
    'localhost/mlcdn-edge',
    contextDirectory,
  );
  const layout = join(WORK, 'layout');
  const bundle = join(WORK, 'bundle');
  for (const directory of [layout, bundle]) rmSync(directory, { recursive: true, force: true });
  buildah('push', '--format', 'oci', 'localhost/mlcdn-edge', `oci:${layout}:edge`);
  run('umoci', 'unpack', '--image', `${layout}:edge`, bundle);
  return bundle;
}

/** Layers of the image that was built last, base first, with their compressed sizes in bytes. */
export function layers(): { digest: string; size: number }[] {
  const index = readJson<{ manifests: { digest: string }[] }>('index.json');
  return readJson<{ layers: { digest: string; size: number }[] }>(blob(index.manifests[0]?.digest)).layers;
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(join(WORK, 'layout', path), 'utf8')) as T;
}

function blob(digest = ''): string {
  return join('blobs', ...digest.split(':'));
}

function buildBase(tag: string, nodeVersion: string, suite: string): void {
  const context = join(WORK, 'base');
  rmSync(context, { recursive: true, force: true });
  mkdirSync(context, { recursive: true });
  run(
    'mmdebstrap',
    '--quiet',
    '--variant=apt',
    // Nobody needs the base after a crash, so nothing of it has to reach the disk at once.
    '--dpkgopt=force-unsafe-io',
    '--aptopt=Acquire::Languages "none"',
    '--include=libstdc++6,passwd',
    suite,
    join(context, 'debian.tar'),
    DEBIAN_MIRROR,
  );
  const node = unpackPackage(`node-linux-${process.arch}@${nodeVersion}`);
  cpSync(join(node, 'bin', 'node'), join(context, 'node'));
  cpSync(unpackPackage(`npm@${NPM_VERSION}`), join(context, 'npm'), { recursive: true });
  writeFileSync(join(context, 'ca.pem'), trustedCertificates());
  buildah(
    'bud',
    '--isolation',
    'chroot',
    '--layers=false',
    '--tag',
    tag,
    '--file',
    join(PROJECT_ROOT, 'scripts', 'image', 'base.Dockerfile'),
    context,
  );
  rmSync(context, { recursive: true });
}

/** Where a proxy opens TLS, npm in the build stage must trust it as npm on this machine does. */
function trustedCertificates(): string {
  const { NODE_EXTRA_CA_CERTS: file } = process.env;
  return file === undefined ? rootCertificates.join('\n') : readFileSync(file, 'utf8');
}

/** Fetches a package from npm's registry without installing it; returns its directory. */
export function unpackPackage(specifier: string): string {
  const directory = join(WORK, 'packages', specifier.replace(/@/, '-'));
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const file = execFileSync('npm', ['pack', '--silent', '--pack-destination', directory, specifier], {
    cwd: directory,
    encoding: 'utf8',
  }).trim();
  run('tar', '--extract', '--file', join(directory, file), '--directory', directory);
  return join(directory, 'package');
}

/** With overlays a layer is what it changes; without, each of them is a copy of all that is below it. */
const driver = once(() => {
  mkdirSync(WORK, { recursive: true });
  const directory = mkdtempSync(join(WORK, 'overlay-'));
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(directory, name));
  const options = `lowerdir=${directory}/lower,upperdir=${directory}/upper,workdir=${directory}/work`;
  // In a name space of its own the mount ends with the command.
  const mount = ['mount', '-t', 'overlay', 'overlay', '-o', options, join(directory, 'merged')];
  const hasOverlays = succeeds('unshare', '--mount', ...mount);
  rmSync(directory, { recursive: true });
  return hasOverlays ? 'overlay' : 'vfs';
});

function once<T>(compute: () => T): () => T {
  let known: { readonly value: T } | undefined;
  return () => {
    known ??= { value: compute() };
    return known.value;
  };
}

function storage(): string[] {
  return [
    '--root',
    join(WORK, 'storage', driver()),
    '--runroot',
    join(WORK, 'run', driver()),
    '--storage-driver',
    driver(),
  ];
}

function buildah(...words: string[]): void {
  run('buildah', ...storage(), ...words);
}

/** Runs a command and waits; its output goes to standard error. Throws when it fails. */
export function run(command: string, ...words: string[]): void {
  execFileSync(command, words, { stdio: ['ignore', 2, 2] });
}
