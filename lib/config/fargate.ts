/** Memory sizes (MiB) that Fargate offers for one CPU size, as an inclusive arithmetic progression. */
interface MemoryRange {
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

/**
 * Fargate task sizes by CPU units (1024 = one vCPU).
 * Source: Amazon ECS developer guide, "Task CPU and memory" for the Fargate launch type.
 */
const MEMORY_BY_CPU: ReadonlyMap<number, MemoryRange> = new Map([
  [512, { min: 1024, max: 4096, step: 1024 }],
  [1024, { min: 2048, max: 8192, step: 1024 }],
  [2048, { min: 4096, max: 16_384, step: 1024 }],
  [4096, { min: 8192, max: 30_720, step: 1024 }],
  [8192, { min: 16_384, max: 61_440, step: 4096 }],
  [16_384, { min: 32_768, max: 122_880, step: 8192 }],
]);

/** The smallest size is the only one whose memory does not grow by a fixed step. */
const QUARTER_VCPU_MEMORY = [512, 1024, 2048];

/** CPU sizes that Fargate offers, in CPU units. */
export const FARGATE_CPU_UNITS: readonly number[] = [256, ...MEMORY_BY_CPU.keys()];

/** Memory sizes (MiB) that Fargate offers for `cpu`; empty when there is no such CPU size. */
export function fargateMemorySizes(cpu: number): readonly number[] {
  if (cpu === 256) return QUARTER_VCPU_MEMORY;
  const range = MEMORY_BY_CPU.get(cpu);
  if (!range) return [];
  const count = (range.max - range.min) / range.step + 1;
  return Array.from({ length: count }, (_, index) => range.min + index * range.step);
}
