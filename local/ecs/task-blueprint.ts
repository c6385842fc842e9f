import { z } from 'zod';
import { physicalName } from '../engine/physical-name';
import { Flag, parseProperties } from '../engine/properties';
import type { Resource } from '../engine/types';
import { type ImageStart, readImageStart } from './dockerfile';

const Container = z.strictObject({
  Name: z.string(),
  Image: z.string(),
  Essential: Flag.default(true),
  EntryPoint: z.array(z.string()).optional(),
  Command: z.array(z.string()).optional(),
  Environment: z.array(z.object({ Name: z.string(), Value: z.coerce.string() })).default([]),
  PortMappings: z
    .array(
      z.looseObject({
        ContainerPort: z.coerce.number().int(),
        HostPort: z.coerce.number().int().optional(),
        Protocol: z.literal('tcp').default('tcp'),
      }),
    )
    .length(1, { error: 'exactly one port mapping is run here' }),
  MountPoints: z
    .array(
      z.object({ ContainerPath: z.string().startsWith('/'), SourceVolume: z.string(), ReadOnly: Flag.default(false) }),
    )
    .default([]),
  RestartPolicy: z
    .object({
      Enabled: Flag,
      IgnoredExitCodes: z.array(z.coerce.number()).default([]),
      RestartAttemptPeriod: z.unknown(),
    })
    .partial({ RestartAttemptPeriod: true })
    .optional(),
  StopTimeout: z.coerce.number().int().default(30),
  LogConfiguration: z
    .looseObject({ LogDriver: z.string(), Options: z.record(z.string(), z.coerce.string()).default({}) })
    .optional(),
  // The load balancer's health check decides over a task here; a container's own would need the image's tools.
  HealthCheck: z.unknown().optional(),
  // Neither limits nor privileges exist without a container engine.
  Cpu: z.unknown().optional(),
  LinuxParameters: z.unknown().optional(),
  Memory: z.unknown().optional(),
  MemoryReservation: z.unknown().optional(),
  Privileged: z.unknown().optional(),
  ReadonlyRootFilesystem: z.unknown().optional(),
  Ulimits: z.unknown().optional(),
  User: z.unknown().optional(),
  VersionConsistency: z.unknown().optional(),
});

const TaskDefinition = z.object({
  Family: z.string().optional(),
  NetworkMode: z.literal('awsvpc', { error: 'NetworkMode must be awsvpc: each task has its own port here' }),
  RequiresCompatibilities: z.array(z.string()).default([]),
  ContainerDefinitions: z.array(Container).length(1, { error: 'exactly one container a task is run here' }),
  TaskRoleArn: z.string().optional(),
  ExecutionRoleArn: z.string().optional(),
  Volumes: z
    .array(
      z.strictObject(
        { Name: z.string() },
        { error: 'only volumes that live and die with the task are run here: Name and nothing else' },
      ),
    )
    .default([]),
});

const INERT = ['Cpu', 'EphemeralStorage', 'Memory', 'RuntimePlatform'];

/** A task definition, checked, with everything needed to start its container. */
export interface TaskBlueprint {
  readonly arn: string;
  readonly family: string;
  readonly region: string;
  /** Role of the container's own calls. */
  readonly taskRoleArn: string | undefined;
  /** Role by which ECS pulls the image and ships the log. */
  readonly executionRoleArn: string | undefined;
  /** CloudWatch log group that the container's output goes to. */
  readonly logGroup: string | undefined;
  readonly container: {
    readonly name: string;
    readonly image: string;
    readonly directory: string;
    readonly start: ImageStart;
    readonly environment: Readonly<Record<string, string>>;
    readonly port: number;
    readonly mounts: readonly { readonly path: string; readonly volume: string }[];
    readonly restart: { readonly enabled: boolean; readonly ignoredExitCodes: readonly number[] };
    readonly stopTimeoutMs: number;
  };
}

/**
 * Checks a task definition and reads its image.
 *
 * @throws on anything that would run differently here than the template says, a mount without its volume, an image that
 *   is no staged asset, and `HOST` and `PORT` variables that would make it listen where nobody asks.
 */
export function taskBlueprint(resource: Resource): TaskBlueprint {
  const properties = parseProperties(resource, TaskDefinition, INERT);
  const [container] = properties.ContainerDefinitions;
  const [mapping] = container?.PortMappings ?? [];
  if (!container || !mapping) throw new Error('ContainerDefinitions: one container with one port mapping is required');
  const environment = Object.fromEntries(container.Environment.map(({ Name, Value }) => [Name, Value]));
  const port = mapping.ContainerPort;
  if (environment.PORT !== String(port)) {
    throw new Error(
      `ContainerDefinitions[0].Environment.PORT is ${environment.PORT ?? 'missing'}, but the port mapping is ${port}: they must be equal`,
    );
  }
  const tag = container.Image.slice(container.Image.lastIndexOf(':') + 1);
  const directory = resource.assets.imageDirectoryByTag(tag);
  const image = readImageStart(directory);
  const host = environment.HOST ?? image.environment.HOST;
  if (host === undefined || /^(127\.|localhost$|::1$)/.test(host)) {
    throw new Error(
      `ContainerDefinitions[0].Environment.HOST is ${host ?? 'missing'}, but in its own network a task must listen on every interface: 0.0.0.0`,
    );
  }
  const volumes = new Set(properties.Volumes.map(({ Name }) => Name));
  const mounts = container.MountPoints.map(({ ContainerPath, SourceVolume }) => {
    if (!volumes.has(SourceVolume)) throw new Error(`MountPoints: the task has no volume ${SourceVolume}`);
    return { path: ContainerPath.replace(/\/$/, ''), volume: SourceVolume };
  });
  const family = properties.Family ?? physicalName(resource, 255);
  return {
    arn: `arn:aws:ecs:${resource.region}:${resource.account}:task-definition/${family}:1`,
    family,
    region: resource.region,
    taskRoleArn: properties.TaskRoleArn,
    executionRoleArn: properties.ExecutionRoleArn,
    logGroup:
      container.LogConfiguration?.LogDriver === 'awslogs'
        ? container.LogConfiguration.Options['awslogs-group']
        : undefined,
    container: {
      name: container.Name,
      image: container.Image,
      directory,
      start: {
        ...image,
        // As with `docker run --entrypoint`: a new entry point also drops the image's command.
        entrypoint: container.EntryPoint ?? image.entrypoint,
        command: container.Command ?? (container.EntryPoint ? [] : image.command),
      },
      environment,
      port,
      mounts,
      restart: {
        enabled: container.RestartPolicy?.Enabled ?? false,
        ignoredExitCodes: container.RestartPolicy?.IgnoredExitCodes ?? [],
      },
      stopTimeoutMs: container.StopTimeout * 1000,
    },
  };
}
