import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cpuQuota } from '../../../../../containers/edge/inference/execution/cpu-quota';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mlcdn-cgroup-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** The quota on a machine with this `/proc/self/cgroup` and these files below `/sys/fs/cgroup`. */
function quota(membership: string, files: Record<string, string>): number | undefined {
  const all = { ...Object.fromEntries(Object.entries(files).map(([name, text]) => [`fs/${name}`, text])), membership };
  for (const [name, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return cpuQuota({ mount: join(root, 'fs'), membership: join(root, 'membership') });
}

test('cgroup v2 in a container: the limit lies at the mount point', () => {
  expect(quota('0::/\n', { 'cpu.max': '150000 100000\n' })).toBe(1.5);
});

test('cgroup v2: the smallest limit on the way to the root counts', () => {
  const files = {
    'cpu.max': 'max 100000\n',
    'ecs/cpu.max': '50000 100000\n',
    'ecs/task/cpu.max': '200000 100000\n',
  };
  expect(quota('0::/ecs/task\n', files)).toBe(0.5);
});

test('cgroup v2 without a limit has none', () => {
  expect(quota('0::/user.slice\n', { 'user.slice/cpu.max': 'max 100000\n' })).toBeUndefined();
});

const V1_MEMBERSHIP = '5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/docker/abc\n';

test.each(['cpu', 'cpu,cpuacct', 'cpuacct,cpu'])('cgroup v1 mounted at %s, seen from its own directory', (mount) => {
  const files = {
    [`${mount}/docker/abc/cpu.cfs_quota_us`]: '300000\n',
    [`${mount}/docker/abc/cpu.cfs_period_us`]: '100000\n',
  };
  expect(quota(V1_MEMBERSHIP, files)).toBe(3);
});

test('cgroup v1 in a container that does not see the path it is at', () => {
  expect(quota(V1_MEMBERSHIP, { 'cpu/cpu.cfs_quota_us': '25000\n', 'cpu/cpu.cfs_period_us': '50000\n' })).toBe(0.5);
});

test('cgroup v1 without a limit says -1', () => {
  expect(quota(V1_MEMBERSHIP, { 'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000\n' })).toBeUndefined();
});

test('no cgroup, or files that hold something else: no limit', () => {
  expect(quota('', {})).toBeUndefined();
  expect(quota('0::/\n', { 'cpu.max': 'much\n' })).toBeUndefined();
  expect(cpuQuota({ mount: '/nowhere', membership: '/nowhere/cgroup' })).toBeUndefined();
});
