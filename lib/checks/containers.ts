import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readImageStart } from '../../local/ecs/dockerfile';
import type { CheckedResource, CheckedStack } from './assembly';
import type { Check, Finding } from './finding';
import { at, listAt, numberAt, textAt, textsAt } from './json';
import { ownCodeOf, type Program, programsOf } from './programs';

type Fault = Pick<Finding, 'problem' | 'right'>;

/** Longest time between SIGTERM and SIGKILL that Fargate grants, s. Source: ECS API reference, "ContainerDefinition". */
const MAX_STOP_SECONDS = 120;

/** Source: ECS API reference, "ContainerDefinition", and Elastic Load Balancing API reference, "LoadBalancerAttribute". */
const DEFAULT_STOP_SECONDS = 30;
const DEFAULT_IDLE_SECONDS = 60;

/** Where programs write although nobody tells them to. */
const SCRATCH = '/tmp';

/** Task definition, load balancer and Dockerfile agree about port, user, paths, times and architecture. */
export const containers: Check = {
  name: 'containers',
  run: (assembly) =>
    programsOf(assembly)
      .filter(({ kind }) => kind === 'task')
      .flatMap((program) =>
        faultsOf(program).map((fault) => ({
          stack: program.stack.name,
          resource: program.resource.logicalId,
          ...fault,
        })),
      ),
};

function faultsOf(program: Program): Fault[] {
  if (!existsSync(join(program.directory, 'Dockerfile'))) {
    return [{ problem: `its image's build context ${program.directory} has no Dockerfile`, right: 'a Dockerfile' }];
  }
  const dockerfile = readFileSync(join(program.directory, 'Dockerfile'), 'utf8');
  const [container] = listAt(program.resource.properties, 'ContainerDefinitions');
  return [
    ...portFaults(program, container, dockerfile),
    ...startFaults(program, container),
    ...userFaults(container, dockerfile),
    ...pathFaults(program, container, dockerfile),
    ...timeFaults(program, container),
    ...sizeFaults(program),
  ];
}

/** The last stage's instructions of a name, continued lines joined. */
function instructions(dockerfile: string, name: string): string[] {
  const lines = dockerfile
    .replace(/^\s*#.*$/gm, '')
    .replace(/\\\s*\n/g, ' ')
    .split('\n');
  const last = lines.findLastIndex((line) => /^\s*FROM\s/i.test(line));
  return lines.slice(last).flatMap((line) => new RegExp(`^\\s*${name}\\s+(.*)$`, 'i').exec(line)?.[1]?.trim() ?? []);
}

function portFaults(
  { stack, resource, directory, environment }: Program,
  container: unknown,
  dockerfile: string,
): Fault[] {
  const image = readImageStart(directory).environment;
  const port = environment.PORT ?? image.PORT ?? '';
  const host = environment.HOST ?? image.HOST ?? '';
  const mapped = listAt(container, 'PortMappings').map((mapping) => textAt(mapping, 'ContainerPort'));
  const exposed = instructions(dockerfile, 'EXPOSE')
    .flatMap((ports) => ports.split(/\s+/))
    .map((text) => text.replace(/\/tcp$/, ''));
  const faults: Fault[] = [];
  if (!mapped.includes(port))
    faults.push({ problem: `listens on ${port}, the task maps ${mapped.join(', ')}`, right: `ContainerPort ${port}` });
  if (!exposed.includes(port))
    faults.push({ problem: `listens on ${port}, the image exposes ${exposed.join(', ')}`, right: `EXPOSE ${port}` });
  if (host !== '0.0.0.0') faults.push({ problem: `listens on ${host || 'its own loopback'}`, right: 'HOST 0.0.0.0' });
  return [...faults, ...targetFaults(stack, resource, container, port)];
}

function targetFaults(stack: CheckedStack, task: CheckedResource, container: unknown, port: string): Fault[] {
  const services = stack.resources.filter(
    ({ type, properties }) => type === 'AWS::ECS::Service' && textAt(properties, 'TaskDefinition') === task.ref,
  );
  return services.flatMap(({ properties }) =>
    listAt(properties, 'LoadBalancers').flatMap((target) => {
      const group = stack.resources.find(({ ref }) => ref === textAt(target, 'TargetGroupArn'));
      const ports = [textAt(target, 'ContainerPort'), textAt(group?.properties, 'Port')];
      const faults: Fault[] = ports
        .filter((other) => other !== port)
        .map((other) => ({ problem: `the load balancer sends to port ${other || '(no target group)'}`, right: port }));
      if (textAt(target, 'ContainerName') !== textAt(container, 'Name')) {
        faults.push({
          problem: `the load balancer sends to ${textAt(target, 'ContainerName')}`,
          right: textAt(container, 'Name'),
        });
      }
      if (textAt(group?.properties, 'TargetType') !== 'ip') {
        faults.push({
          problem: `targets of the type ${textAt(group?.properties, 'TargetType')}`,
          right: 'ip, for tasks of Fargate',
        });
      }
      const [timeout, interval] = ['HealthCheckTimeoutSeconds', 'HealthCheckIntervalSeconds'].map(
        (name) => numberAt(group?.properties, name) ?? 0,
      );
      if ((timeout ?? 0) >= (interval ?? 0)) {
        faults.push({
          problem: `health checks every ${interval} s wait ${timeout} s`,
          right: 'a time-out below the interval',
        });
      }
      return faults;
    }),
  );
}

/** The process that gets SIGTERM must be the program itself, and be there: a shell would not pass the signal on. */
function startFaults({ directory }: Program, container: unknown): Fault[] {
  const { entrypoint, command } = readImageStart(directory);
  const overridden = [...textsAt(container, 'EntryPoint'), ...textsAt(container, 'Command')];
  const line = overridden.length > 0 ? overridden : [...entrypoint, ...command];
  const faults: Fault[] = [];
  if (line[0]?.endsWith('sh'))
    faults.push({ problem: `starts ${line.join(' ')}`, right: 'the exec form, so that SIGTERM arrives' });
  const script = line.find((word) => word.endsWith('.js'));
  if (script !== undefined && !existsSync(join(directory, script.split('/').at(-1) ?? ''))) {
    faults.push({ problem: `starts ${script}, which the image does not have`, right: 'a file of its build context' });
  }
  return faults;
}

/**
 * Who is called keeps a connection longer than who calls, or requests meet one that just closed; and what runs when SIGTERM
 * comes ends before SIGKILL.
 */
function timeFaults({ stack, directory }: Program, container: unknown): Fault[] {
  const code = ownCodeOf(directory);
  const inCode = (pattern: RegExp) => Number(pattern.exec(code)?.[1] ?? Number.NaN) / 1000;
  const kept = inCode(/\bkeepAliveTimeoutMs: ([\d.e]+)/);
  const drained = inCode(/\bSTOP_MS = ([\d.e]+)/);
  const stop = numberAt(container, 'StopTimeout') ?? DEFAULT_STOP_SECONDS;
  const idle = stack.resources
    .filter(({ type }) => type === 'AWS::ElasticLoadBalancingV2::LoadBalancer')
    .map(({ properties }) => idleSeconds(properties));
  const faults: Fault[] = [];
  if (!(kept > Math.max(0, ...idle))) {
    const right = `keepAliveTimeoutMs in the code above the load balancer's idle_timeout.timeout_seconds, ${idle.join(', ')} s`;
    faults.push({ problem: `keeps idle connections for ${kept} s`, right });
  }
  if (!(drained < stop)) {
    const right = 'STOP_MS in the code below StopTimeout';
    faults.push({ problem: `has ${drained} s for what runs when it is stopped, of StopTimeout ${stop}`, right });
  }
  if (stop > MAX_STOP_SECONDS) faults.push({ problem: `StopTimeout ${stop}`, right: `at most ${MAX_STOP_SECONDS}` });
  return faults;
}

function idleSeconds(properties: unknown): number {
  const attribute = listAt(properties, 'LoadBalancerAttributes').find(
    (candidate) => textAt(candidate, 'Key') === 'idle_timeout.timeout_seconds',
  );
  return numberAt(attribute, 'Value') ?? DEFAULT_IDLE_SECONDS;
}

function userFaults(container: unknown, dockerfile: string): Fault[] {
  const user = textAt(container, 'User') || (instructions(dockerfile, 'USER').at(-1) ?? 'root');
  if (!/^(root|0)(:|$)/.test(user)) return [];
  return [{ problem: `runs as ${user}`, right: "the image's own unprivileged user" }];
}

/** With a read-only root, whatever is written must be on a volume, which has the owner of the image's directory. */
function pathFaults({ environment }: Program, container: unknown, dockerfile: string): Fault[] {
  const mounts = listAt(container, 'MountPoints')
    .filter((mount) => textAt(mount, 'ReadOnly') !== 'true')
    .map((mount) => textAt(mount, 'ContainerPath'));
  const written = [SCRATCH, environment.DISK_CACHE_DIR ?? ''].filter((path) => path !== '');
  const isReadOnly = textAt(container, 'ReadonlyRootFilesystem') === 'true';
  const unmounted = written.filter((path) => isReadOnly && !mounts.some((mount) => `${path}/`.startsWith(`${mount}/`)));
  const volumes = instructions(dockerfile, 'VOLUME').flatMap((paths) =>
    paths
      .replace(/[[\]",]/g, ' ')
      .trim()
      .split(/\s+/),
  );
  return [
    ...unmounted.map((path) => ({
      problem: `writes to ${path} on a read-only file system`,
      right: `a volume at ${path}`,
    })),
    ...mounts
      .filter((path) => !volumes.includes(path))
      .map((path) => ({
        problem: `mounts ${path}, which the image does not declare: the volume belongs to root, and the program cannot write`,
        right: `VOLUME ${path} in the Dockerfile, after the directory got its owner`,
      })),
  ];
}

function sizeFaults({ resource, environment }: Program): Fault[] {
  const { properties } = resource;
  const memory = (numberAt(properties, 'Memory') ?? 0) * 1024 ** 2;
  const disk = (numberAt(properties, 'EphemeralStorage', 'SizeInGiB') ?? 20) * 1024 ** 3;
  const checked: readonly (readonly [string, number])[] = [
    ['MEMORY_CACHE_MAX_BYTES', memory],
    ['DISK_CACHE_MAX_BYTES', disk],
  ];
  const tooLarge = checked.filter(([name, size]) => Number(environment[name] ?? 0) >= size);
  const architecture = textAt(properties, 'RuntimePlatform', 'CpuArchitecture');
  return [
    ...tooLarge.map(([name, size]) => ({
      problem: `${name} is ${environment[name]} of ${size} bytes`,
      right: 'less than the task has',
    })),
    ...(architecture === 'ARM64' && at(properties, 'RuntimePlatform', 'OperatingSystemFamily') === 'LINUX'
      ? []
      : [
          {
            problem: `runs on ${architecture || 'X86_64'}, the image is built for linux/arm64`,
            right: 'ARM64 and LINUX',
          },
        ]),
  ];
}
