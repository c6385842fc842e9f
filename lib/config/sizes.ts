import { z } from 'zod';
import { FARGATE_CPU_UNITS, fargateMemorySizes } from './fargate';
import { matching, oneOf, wholeBetween } from './fields';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** Share of a task's memory that the memory tier may take; the rest is for Node, ONNX Runtime and the models. */
const MEMORY_CACHE_SHARE = 0.5;

/** Disk that Fargate's image layers, model downloads and the file system itself need beside the disk tier. */
const DISK_RESERVE_GIB = 8;

/** Size of one region's edge service. */
export const EdgeSizes = z.strictObject({
  /** CPU units of a task; 1024 is one vCPU. The service runs one process per vCPU. */
  cpu: oneOf(FARGATE_CPU_UNITS),
  memoryMiB: z.int().positive(),
  /** Tasks at rest. */
  desiredCount: wholeBetween(1, 1000),
  /** Tasks under full load. */
  maxCount: wholeBetween(1, 1000),
  /** Requests a minute that one task should answer; more add tasks. */
  requestsPerTaskPerMinute: wholeBetween(60, 10_000_000),
  /** Share of the tasks beyond a region's first that run on Fargate Spot, percent. */
  spotPercent: wholeBetween(0, 100),
  /** Budget of the memory tier of one task. */
  memoryCacheBytes: wholeBetween(MIB, 60 * GIB),
  /** Budget of the disk tier of one task. */
  diskCacheBytes: wholeBetween(MIB, 190 * GIB),
  /** Disk of one task. Fargate gives 20 GiB to every task and takes 21-200 when asked for more. */
  ephemeralStorageGiB: wholeBetween(21, 200),
});

/** Size of one region's Valkey. */
export const CacheSizes = z.strictObject({
  nodeType: matching(
    /^cache\.[a-z]\d[a-z]{0,3}\.(micro|small|medium|large|(\d{1,2})?xlarge)$/,
    'an ElastiCache node type such as cache.t4g.micro or cache.r7g.large',
  ),
  /** Read replicas beside the primary; with at least one, a failed primary is replaced by a replica. */
  replicas: wholeBetween(0, 5),
});

/** The sizes of a region, or those that hold for every region. */
export interface Sizes {
  readonly edge: z.output<typeof EdgeSizes>;
  readonly cache: z.output<typeof CacheSizes>;
}

/** What a region's row says instead of the common sizes. */
interface SizeOverrides {
  readonly edge: z.output<ReturnType<typeof EdgeSizes.partial>>;
  readonly cache: z.output<ReturnType<typeof CacheSizes.partial>>;
}

function withOverrides<T extends object>(sizes: T, overrides: { readonly [K in keyof T]?: T[K] | undefined }): T {
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined);
  return { ...sizes, ...Object.fromEntries(given) };
}

/** The sizes that hold in a region: its row's, field by field, else the common ones. */
export function sizesOf(common: Sizes, row: SizeOverrides): Sizes {
  return { edge: withOverrides(common.edge, row.edge), cache: withOverrides(common.cache, row.cache) };
}

/** What is wrong with a region's sizes: the field of `edge`, and why. */
interface SizeFault {
  readonly field: keyof Sizes['edge'];
  readonly message: string;
}

/** What Fargate does not offer, or what has no room in a task. */
export function sizeFaults({ edge }: Sizes): SizeFault[] {
  const faults: SizeFault[] = [];
  const memorySizes = fargateMemorySizes(edge.cpu);
  // A CPU size that does not exist is reported as such.
  if (memorySizes.length > 0 && !memorySizes.includes(edge.memoryMiB)) {
    const message = `${edge.memoryMiB} is not offered by Fargate with cpu ${edge.cpu}; allowed: ${memorySizes.join(', ')}`;
    faults.push({ field: 'memoryMiB', message });
  }
  if (edge.maxCount < edge.desiredCount) {
    const message = `${edge.maxCount} must be at least desiredCount (${edge.desiredCount})`;
    faults.push({ field: 'maxCount', message });
  }
  const memoryBudget = edge.memoryMiB * MIB * MEMORY_CACHE_SHARE;
  if (edge.memoryCacheBytes > memoryBudget) {
    const message = `${edge.memoryCacheBytes} must be at most half of the task's memory (${memoryBudget})`;
    faults.push({ field: 'memoryCacheBytes', message });
  }
  const diskBudget = (edge.ephemeralStorageGiB - DISK_RESERVE_GIB) * GIB;
  if (edge.diskCacheBytes > diskBudget) {
    const message = `${edge.diskCacheBytes} must leave ${DISK_RESERVE_GIB} GiB of ephemeralStorageGiB (${edge.ephemeralStorageGiB}) free: at most ${diskBudget}`;
    faults.push({ field: 'diskCacheBytes', message });
  }
  return faults;
}
