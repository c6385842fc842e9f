import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { DescribeTasksCommand, ECSClient, ListTasksCommand, UpdateServiceCommand } from '@aws-sdk/client-ecs';
import {
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  ElasticLoadBalancingV2Client,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { DescribeReplicationGroupsCommand, ElastiCacheClient } from '@aws-sdk/client-elasticache';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { createClient } from 'redis';
import type { LocalConnection } from '../../lib/control/local-connection';
import { elastiCacheToken } from '../../lib/core/elasticache-token';
import { ORIGIN_KEY_HEADERS, ORIGIN_KEYS } from '../../lib/core/origin-keys';
import {
  cacheUserId,
  edgeServiceName,
  loadBalancerName,
  replicationGroupId,
  statusFunctionName,
} from '../../lib/core/resource-names';
import { RegionStatus } from '../../lib/core/task-report';
import { descendantsOf } from './processes';

/** What an operator of a real region would do with the AWS CLI, against the running local CDN. */
function sdk(connection: LocalConnection, region: string) {
  const { AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = connection.environment;
  return {
    region,
    endpoint: AWS_ENDPOINT_URL ?? '',
    credentials: { accessKeyId: AWS_ACCESS_KEY_ID ?? '', secretAccessKey: AWS_SECRET_ACCESS_KEY ?? '' },
  };
}

function scope(connection: LocalConnection) {
  return { environment: 'local', account: connection.account };
}

/** Polls until `condition` holds; fails after `seconds`. */
export async function waitUntil(condition: () => boolean | Promise<boolean>, seconds = 60): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not so after ${seconds} s: ${condition}`);
    await sleep(50);
  }
}

/** Process ids of the region's running edge containers. */
export async function edgeContainerPids(connection: LocalConnection, region: string): Promise<number[]> {
  const ecs = new ECSClient(sdk(connection, region));
  const cluster = edgeServiceName(scope(connection));
  const { taskArns = [] } = await ecs.send(new ListTasksCommand({ cluster }));
  if (taskArns.length === 0) return [];
  const { tasks = [] } = await ecs.send(new DescribeTasksCommand({ cluster, tasks: taskArns }));
  return tasks.flatMap((task) => (task.containers ?? []).flatMap((c) => (c.runtimeId ? [Number(c.runtimeId)] : [])));
}

/** Values that a region's load balancer accepts of each origin key. */
export async function acceptedKeys(connection: LocalConnection, region: string): Promise<string[][]> {
  const elb = new ElasticLoadBalancingV2Client(sdk(connection, region));
  const names = new DescribeLoadBalancersCommand({ Names: [loadBalancerName(scope(connection))] });
  const { LoadBalancers: [balancer] = [] } = await elb.send(names);
  const listeners = new DescribeListenersCommand({ LoadBalancerArn: balancer?.LoadBalancerArn });
  const { Listeners: [listener] = [] } = await elb.send(listeners);
  const { Rules = [] } = await elb.send(new DescribeRulesCommand({ ListenerArn: listener?.ListenerArn }));
  const headers = Rules.flatMap(({ Conditions = [] }) => Conditions).map(({ HttpHeaderConfig }) => HttpHeaderConfig);
  return ORIGIN_KEYS.map(
    (key) => headers.find((header) => header?.HttpHeaderName === ORIGIN_KEY_HEADERS[key])?.Values ?? [],
  );
}

/** Kills every edge container of a region as an out-of-memory would. */
export async function killEdgeContainers(connection: LocalConnection, region: string): Promise<number[]> {
  const pids = await edgeContainerPids(connection, region);
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  return pids;
}

/** What the region's status function says. */
async function regionStatus(connection: LocalConnection, region: string): Promise<RegionStatus> {
  const { Payload } = await new LambdaClient(sdk(connection, region)).send(
    new InvokeCommand({
      FunctionName: statusFunctionName(scope(connection)),
      Payload: JSON.stringify({ messageIds: [] }),
    }),
  );
  return RegionStatus.parse(JSON.parse(Buffer.from(Payload ?? []).toString()));
}

/**
 * Kills the edge containers of a region and waits until others stand in their place, in the same tasks: answering, and
 * following the control log. Until a task follows the log, a loss of it rightly costs the task its caches.
 */
export async function restartEdgeContainers(
  connection: LocalConnection,
  region: string,
  viewerIp: string,
): Promise<void> {
  const killedAt = new Date().toISOString();
  const before = await killEdgeContainers(connection, region);
  if (before.length === 0) throw new Error(`${region} has no running edge container`);
  await waitUntil(async () => {
    const now = await edgeContainerPids(connection, region);
    if (now.length !== before.length || now.some((pid) => before.includes(pid))) return false;
    const health = await fetch(`${connection.url}/health`, { headers: { 'x-viewer-ip': viewerIp } });
    const body = (await health.json()) as { region?: string; models?: Record<string, unknown> };
    if (health.status !== 200 || body.region !== region || Object.keys(body.models ?? {}).length === 0) return false;
    const { tasks, head } = await regionStatus(connection, region);
    return tasks.length === now.length && tasks.every((task) => task.startedAt > killedAt && task.position === head);
  });
}

/** Scales a region's edge service. */
export async function setDesiredTasks(
  connection: LocalConnection,
  region: string,
  desiredCount: number,
): Promise<void> {
  const name = edgeServiceName(scope(connection));
  await new ECSClient(sdk(connection, region)).send(
    new UpdateServiceCommand({ cluster: name, service: name, desiredCount }),
  );
}

/** Empties the region's Valkey, cached entries, control log and all. No user may FLUSHALL, so key by key. */
export async function flushL1(connection: LocalConnection, region: string): Promise<void> {
  const groups = await new ElastiCacheClient(sdk(connection, region)).send(
    new DescribeReplicationGroupsCommand({ ReplicationGroupId: replicationGroupId(scope(connection)) }),
  );
  const endpoint = groups.ReplicationGroups?.[0]?.NodeGroups?.[0]?.PrimaryEndpoint;
  const ca = readFileSync(connection.environment.NODE_EXTRA_CA_CERTS ?? '');
  const { credentials } = sdk(connection, region);
  const iam = {
    userId: cacheUserId(scope(connection), 'edge'),
    cacheName: replicationGroupId(scope(connection)),
    region,
  };
  const client = createClient({
    username: iam.userId,
    password: await elastiCacheToken(iam, credentials, new Date()),
    socket: { host: endpoint?.Address ?? '', port: endpoint?.Port ?? 0, tls: true, ca: [ca] },
  });
  await client.connect();
  for await (const keys of client.scanIterator()) if (keys.length > 0) await client.unlink(keys);
  client.destroy();
}

/** Kills a region's Valkey node as the failure of its machine would; another takes its place by itself, empty. */
export async function killL1(connection: LocalConnection, region: string): Promise<void> {
  // Redis rewrites its command line; the directory that it runs in names the region.
  const nodes = (await descendantsOf(connection.pid)).filter(
    ({ pid, command }) => command.startsWith('redis-server') && workingDirectory(pid).endsWith(`-${region}`),
  );
  const [node] = nodes;
  if (!node || nodes.length > 1) throw new Error(`${region} has ${nodes.length} Valkey nodes, not one`);
  process.kill(node.pid, 'SIGKILL');
}

function workingDirectory(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

/** A metric of each edge task of a region, as its own `/metrics` says it; `undefined` where it does not. */
export async function taskMetric(
  connection: LocalConnection,
  region: string,
  sample: string,
): Promise<(number | undefined)[]> {
  const pids = await edgeContainerPids(connection, region);
  return Promise.all(
    pids.map(async (pid) => {
      const [, port] = /(?:^|\0)PORT=(\d+)\0/.exec(readFileSync(`/proc/${pid}/environ`, 'latin1')) ?? [];
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      const line = text.split('\n').find((candidate) => candidate.startsWith(`${sample} `));
      return line === undefined ? undefined : Number(line.slice(sample.length + 1));
    }),
  );
}
