import { join } from 'node:path';
import type { TaskBlueprint } from './task-blueprint';

/** Where a task has its things on this machine. */
export interface TaskPlace {
  /** Port of 127.0.0.1 that stands for the mapped container port. */
  readonly hostPort: number;
  /** Directory whose subdirectories are the task's volumes. */
  readonly volumeDirectory: string;
  readonly metadataUri: string;
  readonly agentUri: string;
}

/**
 * The environment of a container: the image's, then the task definition's, with the remaps that a container engine
 * would make invisible: the mapped port, the interface it listens on, and the directories that volumes are mounted at.
 *
 * @param machine AWS endpoint, trust and path of this machine.
 */
export function containerEnvironment(
  container: Pick<TaskBlueprint['container'], 'start' | 'environment' | 'mounts'>,
  place: TaskPlace,
  machine: Readonly<Record<string, string>>,
): Record<string, string> {
  const { PATH: _imagePath, ...imageEnvironment } = container.start.environment;
  const given = { ...imageEnvironment, ...container.environment };
  const remapped = Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      const mount = container.mounts.find(({ path }) => value === path || value.startsWith(`${path}/`));
      return [name, mount ? join(place.volumeDirectory, mount.volume, value.slice(mount.path.length)) : value];
    }),
  );
  const nodeOptions = [machine.NODE_OPTIONS, given.NODE_OPTIONS].filter((options) => options !== undefined).join(' ');
  return {
    ...machine,
    ...remapped,
    NODE_OPTIONS: nodeOptions,
    PORT: String(place.hostPort),
    // In a container every interface is the task's own; here it would be the whole network's.
    HOST: '127.0.0.1',
    ECS_CONTAINER_METADATA_URI_V4: place.metadataUri,
    ECS_AGENT_URI: place.agentUri,
  };
}
