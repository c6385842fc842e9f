import { DescribeReplicationGroupsCommand } from '@aws-sdk/client-elasticache';
import type { ChannelDocument } from '../core/channel';
import { replicationGroupId } from '../core/resource-names';
import type { RegionStatus } from '../core/task-report';
import { listChannels } from './channel';
import { reasonOf } from './errors';
import { readLiveVersion } from './live-version';
import type { ControlPlane } from './plane';
import { readRegionStatus } from './region-tasks';

/** A model's channel with the version that CloudFront's cache keys name. */
export interface ModelStatus extends ChannelDocument {
  /** `null` when CloudFront knows none. */
  readonly edgeKeyVersion: string | null;
}

/** A region's Valkey as ElastiCache reports it. */
export interface RegionalCacheStatus {
  readonly id: string;
  /** `available`, `modifying`, ... */
  readonly status: string;
  readonly engine: string;
  readonly nodeType: string;
  readonly nodes: number;
}

/** Either what was asked for, or why it could not be had. */
export type Reading<T> = { readonly value: T } | { readonly error: string };

export interface RegionReading {
  readonly region: string;
  /** Control log and live tasks. */
  readonly control: Reading<RegionStatus>;
  readonly cache: Reading<RegionalCacheStatus>;
}

/** State of a whole environment at one moment. */
export interface CdnStatus {
  readonly environment: string;
  readonly homeRegion: string;
  readonly models: readonly ModelStatus[];
  readonly regions: readonly RegionReading[];
  /** What is not as it should be, one line each; empty when all is well. */
  readonly problems: readonly string[];
}

/**
 * Reads channels, tasks and regional caches of every region. A region that does not answer is a problem in the result,
 * not an error.
 * @throws when the home bucket or the KeyValueStore cannot be read
 */
export async function readStatus(plane: ControlPlane): Promise<CdnStatus> {
  const [models, regions] = await Promise.all([
    readModels(plane),
    Promise.all(plane.regions.map((region) => readRegion(plane, region))),
  ]);
  const problems = [...models.flatMap(modelProblems), ...regions.flatMap((region) => regionProblems(region, models))];
  return { environment: plane.scope.environment, homeRegion: plane.homeRegion, models, regions, problems };
}

async function readModels(plane: ControlPlane): Promise<ModelStatus[]> {
  const channels = await listChannels(plane);
  return Promise.all(
    channels.map(async (channel) => ({
      ...channel,
      edgeKeyVersion: (await readLiveVersion(plane, channel.model)) ?? null,
    })),
  );
}

async function readRegion(plane: ControlPlane, region: string): Promise<RegionReading> {
  const [control, cache] = await Promise.all([
    reading(readRegionStatus(plane, region)),
    reading(readRegionalCache(plane, region)),
  ]);
  return { region, control, cache };
}

async function reading<T>(value: Promise<T>): Promise<Reading<T>> {
  try {
    return { value: await value };
  } catch (error) {
    return { error: reasonOf(error) };
  }
}

async function readRegionalCache(plane: ControlPlane, region: string): Promise<RegionalCacheStatus> {
  const id = replicationGroupId(plane.scope);
  const { ReplicationGroups = [] } = await plane.clients
    .elastiCache(region)
    .send(new DescribeReplicationGroupsCommand({ ReplicationGroupId: id }));
  const [group] = ReplicationGroups;
  if (!group) throw new Error(`ElastiCache has no replication group ${id} in ${region}`);
  return {
    id,
    status: group.Status ?? 'unknown',
    engine: group.Engine ?? 'unknown',
    nodeType: group.CacheNodeType ?? 'unknown',
    nodes: group.MemberClusters?.length ?? 0,
  };
}

function modelProblems({ model, production, edgeKeyVersion }: ModelStatus): string[] {
  if (edgeKeyVersion === production) return [];
  const named = edgeKeyVersion ?? 'no version';
  return [`${model}: the channel says ${production}, CloudFront's cache keys name ${named}; publish again to finish`];
}

function regionProblems({ region, control, cache }: RegionReading, models: readonly ModelStatus[]): string[] {
  const problems: string[] = [];
  if ('error' in cache) problems.push(`${region}: regional cache: ${cache.error}`);
  else if (cache.value.status !== 'available') problems.push(`${region}: regional cache is ${cache.value.status}`);
  if ('error' in control) return [...problems, `${region}: control log: ${control.error}`];

  const { tasks } = control.value;
  if (tasks.length === 0) problems.push(`${region}: no live task`);
  for (const { taskId, models: held } of tasks) {
    for (const { model, production } of models) {
      const version = held[model]?.find((candidate) => candidate.version === production);
      if (version?.state === 'active') continue;
      const state = version
        ? `has it ${version.state}${version.reason ? ` (${version.reason})` : ''}`
        : 'does not have it';
      problems.push(`${region}: task ${taskId} does not serve ${model} ${production}: it ${state}`);
    }
  }
  return problems;
}
