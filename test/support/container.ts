import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What a task definition says about how its container runs. */
export interface ContainerDefinition {
  readonly Environment: readonly { readonly Name: string; readonly Value: unknown }[];
  readonly MountPoints: readonly { readonly ContainerPath: string }[];
  readonly PortMappings: readonly { readonly ContainerPort: number }[];
  readonly ReadonlyRootFilesystem: boolean;
  readonly User: string;
  /** In place of the image's own. */
  readonly EntryPoint?: readonly string[];
  readonly Command?: readonly string[];
  readonly LinuxParameters: { readonly Capabilities: { readonly Drop: readonly string[] } };
}

interface Mount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options?: readonly string[];
}

/** The part of an OCI runtime configuration that is changed here. */
interface RuntimeConfig {
  process: {
    terminal: boolean;
    user: object;
    args: readonly string[];
    env: string[];
    capabilities: object;
    rlimits?: object;
  };
  root: { path: string; readonly: boolean };
  mounts: Mount[];
  linux: { namespaces: { type: string }[]; cgroupsPath?: string };
}

/** A container under runc, in the network of this process. */
export interface Container {
  /** Standard output and error so far. */
  log(): string;
  /** Runs a command in it, as its user; the output, or an error with it. */
  exec(...command: readonly string[]): Promise<string>;
  /** Sends the signal to its first process. */
  signal(name: string): Promise<void>;
  /** Exit code of its first process, as runc passes it on. */
  readonly exited: Promise<number | null>;
  /** Kills it and removes what it wrote. */
  remove(): Promise<void>;
}

/**
 * Runs an unpacked image as ECS would by a container definition.
 *
 * Volumes are directories of the machine: as on Fargate, one that the image declares takes owner and mode of its directory
 * there, any other belongs to root.
 * @param bundle OCI bundle: `rootfs` and the `config.json` that umoci made of the image's configuration
 * @param environment variables that stand for the definition's, or are added to them
 * @param hidden directories of the image that the container shall find empty
 */
export function runContainer(
  bundle: string,
  definition: ContainerDefinition,
  environment: Readonly<Record<string, string>>,
  hidden: readonly string[] = [],
): Container {
  const directory = mkdtempSync(join(tmpdir(), 'mlcdn-container-'));
  const id = `mlcdn-${randomUUID()}`;
  const rootfs = join(bundle, 'rootfs');
  const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as RuntimeConfig;
  const [uid, gid] = definition.User.split(':').map(Number);
  const given = Object.fromEntries(definition.Environment.map(({ Name, Value }) => [Name, Value]));
  config.process.terminal = false;
  config.process.user = { uid, gid };
  const own = [...(definition.EntryPoint ?? []), ...(definition.Command ?? [])];
  if (own.length > 0) config.process.args = own;
  config.process.env.push(...Object.entries({ ...given, ...environment }).map(([name, value]) => `${name}=${value}`));
  if (definition.LinuxParameters.Capabilities.Drop.includes('ALL')) config.process.capabilities = {};
  delete config.process.rlimits;
  config.root = { path: rootfs, readonly: definition.ReadonlyRootFilesystem };
  const declared = config.mounts.filter(({ type, source }) => type === 'tmpfs' && source === 'none');
  const volumes = definition.MountPoints.map(({ ContainerPath }) => ContainerPath);
  config.mounts = [
    ...config.mounts.filter(({ destination }) => !volumes.includes(destination) && destination !== '/sys/fs/cgroup'),
    ...volumes.map((path, index) => {
      const source = join(directory, `volume-${index}`);
      const isDeclared = declared.some(({ destination }) => destination === path);
      mkdirSync(source);
      const like = isDeclared ? statSync(join(rootfs, path)) : { uid: 0, gid: 0 };
      chownSync(source, like.uid, like.gid);
      return { destination: path, type: 'bind', source, options: ['bind', 'rw'] };
    }),
    ...hidden.map((destination) => ({ destination, type: 'tmpfs', source: 'tmpfs', options: ['ro'] })),
  ];
  config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== 'network');
  config.linux.cgroupsPath = `/${id}`;
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
  return started(id, directory);
}

function started(id: string, directory: string): Container {
  const runc = ['--root', join(directory, 'state')];
  const child: ChildProcess = spawn('runc', [...runc, 'run', '--bundle', directory, id], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let written = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      written += chunk.toString();
    });
  }
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const control = (...words: readonly string[]) => promisify(execFile)('runc', [...runc, ...words]);
  return {
    log: () => written,
    exec: async (...command) => (await control('exec', id, ...command)).stdout,
    signal: async (name) => void (await control('kill', id, name)),
    exited,
    async remove() {
      await control('kill', id, 'KILL').catch(() => undefined);
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
