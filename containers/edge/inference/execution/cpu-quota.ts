import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where cgroups are mounted, and who says which of them this process is in. */
export interface CgroupFiles {
  /** `/sys/fs/cgroup`. */
  readonly mount: string;
  /** `/proc/self/cgroup`. */
  readonly membership: string;
}

const SYSTEM_FILES: CgroupFiles = { mount: '/sys/fs/cgroup', membership: '/proc/self/cgroup' };

/** Directories below the mount point under which the CPU controller of cgroup v1 is found. */
const V1_CPU_MOUNTS = ['cpu', 'cpu,cpuacct', 'cpuacct,cpu'];

/**
 * CPUs' worth of time that the cgroup of this process may use, 0.5 for half of one; `undefined` where there is no limit
 * or no cgroup. The smallest on the way from the process's own cgroup to the root counts. Inside a container without a
 * cgroup namespace the path in `/proc/self/cgroup` is the host's and not visible; the container's own limit then lies at
 * the mount point, which is on every way.
 *
 * https://docs.kernel.org/admin-guide/cgroup-v2.html (`cpu.max`: quota or `max`, and period, in microseconds),
 * https://docs.kernel.org/scheduler/sched-bwc.html (v1: `cpu.cfs_quota_us`, -1 for none, and `cpu.cfs_period_us`)
 */
export function cpuQuota(files: CgroupFiles = SYSTEM_FILES): number | undefined {
  const limits = memberships(files.membership).flatMap(({ controllers, path }) => {
    if (controllers.length === 0) return limitsUpwards(files.mount, path, v2Limit);
    if (!controllers.includes('cpu')) return [];
    return V1_CPU_MOUNTS.flatMap((name) => limitsUpwards(join(files.mount, name), path, v1Limit));
  });
  return limits.length === 0 ? undefined : Math.min(...limits);
}

/** Lines `hierarchy:controllers:path` of proc(5); v2's has no controllers. */
function memberships(file: string): { controllers: string[]; path: string }[] {
  return (read(file) ?? '').split('\n').flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) return [];
    return [{ controllers: controllers.split(',').filter((name) => name !== ''), path }];
  });
}

function limitsUpwards(mount: string, path: string, limitIn: (directory: string) => number | undefined): number[] {
  const limit = limitIn(join(mount, path));
  const above = path === '/' ? [] : limitsUpwards(mount, dirname(path), limitIn);
  return limit === undefined ? above : [limit, ...above];
}

function v2Limit(directory: string): number | undefined {
  const [quota, period] = (read(join(directory, 'cpu.max')) ?? '').split(/\s+/).map(Number);
  return ratio(quota, period);
}

function v1Limit(directory: string): number | undefined {
  const [quota, period] = ['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map((name) => Number(read(join(directory, name))));
  return ratio(quota, period);
}

/** `undefined` for v2's `max`, v1's -1 and whatever cannot be read. */
function ratio(quota: number | undefined, period: number | undefined): number | undefined {
  if (quota === undefined || period === undefined || !(quota > 0) || !(period > 0)) return undefined;
  return quota / period;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
