import { once } from 'node:events';
import { mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  DescribeTasksCommand,
  ECSClient,
  GetTaskProtectionCommand,
  ListTasksCommand,
  type Task,
  UpdateServiceCommand,
  UpdateTaskProtectionCommand,
} from '@aws-sdk/client-ecs';
import { bundleEdgeProgram, EDGE_PROGRAMS } from '../../../lib/constructs/edge-programs';
import { EcsStandIn } from '../../../local/ecs/ecs-stand-in';
import { Certificates } from '../../../local/elb/certificates';
import { ElbStandIn } from '../../../local/elb/elb-stand-in';
import type { TargetGroup } from '../../../local/elb/target-group';
import type { ResourceModule, Running } from '../../../local/engine/types';
import { tinyModel, writeModel } from '../../support/tiny-models';
import { ACCOUNT } from '../support/cloud-assembly';
import { clientSettings, resource, testPlatform } from '../support/platform';

/** Services of real processes start, stop and are replaced; a busy machine takes its time for them. */
jest.setTimeout(120_000);

/** The edge service itself, as the image has it, in tasks whose number falls while they send a body. */
const platform = testPlatform();
const elb = new ElbStandIn(new Certificates());
const stops: (() => Promise<void>)[] = [];
let modules: ResourceModule[];
let client: ECSClient;
let image: string;
let models: string;
let origin: Server;
let isOver = false;
/** Bodies that the origin has begun. */
const begun: ServerResponse[] = [];
const PART = Buffer.alloc(64 * 1024, 'x');

beforeAll(async () => {
  const { front, iam } = platform.get();
  const ecs = await EcsStandIn.start(platform.get(), elb);
  stops.push(() => ecs.close());
  front.serve(ecs.api);
  modules = [...iam.modules, ...elb.modules, ...ecs.modules];
  client = new ECSClient(clientSettings(platform.get()));
  image = edgeImage(platform.directory);
  models = join(platform.directory, 'models');
  await writeModel(models, 'tiny', '1', tinyModel(2));
  origin = createServer((_request, response) => {
    response.writeHead(200, { 'cache-control': 'no-store', 'content-length': 2 * PART.length });
    response.write(PART);
    begun.push(response);
  }).listen(0, '127.0.0.1');
  await once(origin, 'listening');
  await start('AWS::ECS::Cluster', 'Cluster', { ClusterName: 'edge' });
});
afterAll(async () => {
  isOver = true;
  origin.closeAllConnections();
  origin.close();
  for (const stop of stops.reverse()) await stop();
});
beforeEach(() => {
  begun.length = 0;
});

function edgeImage(parent: string): string {
  const directory = mkdtempSync(join(parent, 'edge-'));
  writeFileSync(
    join(directory, 'Dockerfile'),
    'FROM scratch\nWORKDIR /app\nENTRYPOINT ["/usr/local/bin/node"]\nCMD ["/app/server.js"]\n',
  );
  for (const program of EDGE_PROGRAMS) writeFileSync(join(directory, `${program}.js`), bundleEdgeProgram(program));
  symlinkSync(resolve(__dirname, '../../../node_modules'), join(directory, 'node_modules'));
  return directory;
}

async function start(type: string, logicalId: string, properties: Record<string, unknown>): Promise<Running> {
  const module = modules.find((candidate) => candidate.type === type);
  if (!module) throw new Error(`no module for ${type}`);
  const base = resource(type, logicalId, properties);
  const running = await module.start({ ...base, assets: { ...base.assets, imageDirectoryByTag: () => image } });
  if (running.stop) stops.push(running.stop);
  return running;
}

const policy = (...Statement: object[]) => ({ Version: '2012-10-17', Statement });
const PROTECT = {
  Effect: 'Allow',
  Action: 'ecs:UpdateTaskProtection',
  Resource: `arn:aws:ecs:us-east-1:${ACCOUNT}:task/edge/*`,
};

/** A service of edge tasks that have two seconds to end, and whose role allows these statements. */
async function service(name: string, desiredCount: number, ...statements: object[]): Promise<TargetGroup> {
  const { attributes } = await start('AWS::IAM::Role', `Role${name}`, {
    AssumeRolePolicyDocument: policy({
      Effect: 'Allow',
      Principal: { Service: 'ecs-tasks.amazonaws.com' },
      Action: 'sts:AssumeRole',
    }),
    Policies: [{ PolicyName: 'own', PolicyDocument: policy(...statements) }],
  });
  const environment = {
    PORT: '8080',
    HOST: '0.0.0.0',
    MODELS_DIR: models,
    ORIGIN_URL: `http://127.0.0.1:${(origin.address() as AddressInfo).port}`,
    PROTECT_TRANSFERS_AFTER_SECONDS: '1',
  };
  const task = await start('AWS::ECS::TaskDefinition', `Task${name}`, {
    NetworkMode: 'awsvpc',
    TaskRoleArn: attributes?.Arn,
    ContainerDefinitions: [
      {
        Name: 'edge',
        Image: '0.dkr.ecr.us-east-1.amazonaws.com/images:tag',
        Environment: Object.entries(environment).map(([Name, Value]) => ({ Name, Value })),
        PortMappings: [{ ContainerPort: 8080 }],
        StopTimeout: 2,
      },
    ],
  });
  const group = await start('AWS::ElasticLoadBalancingV2::TargetGroup', `Group${name}`, {
    Protocol: 'HTTP',
    TargetType: 'ip',
    HealthCheckPath: '/health',
    HealthCheckIntervalSeconds: 1,
    TargetGroupAttributes: [{ Key: 'deregistration_delay.timeout_seconds', Value: '1' }],
  });
  await start('AWS::ECS::Service', `Service${name}`, {
    Cluster: 'edge',
    ServiceName: name,
    TaskDefinition: task.ref,
    DesiredCount: desiredCount,
    HealthCheckGracePeriodSeconds: 60,
    LoadBalancers: [{ ContainerName: 'edge', ContainerPort: 8080, TargetGroupArn: group.ref }],
  });
  return elb.targetGroup(group.ref);
}

/** Tasks of a service that have not stopped, the oldest first. */
async function tasksOf(serviceName: string): Promise<Task[]> {
  const { taskArns = [] } = await client.send(new ListTasksCommand({ cluster: 'edge', serviceName }));
  if (taskArns.length === 0) return [];
  const { tasks = [] } = await client.send(new DescribeTasksCommand({ cluster: 'edge', tasks: taskArns }));
  return tasks;
}

const arnsOf = async (serviceName: string) => (await tasksOf(serviceName)).map(({ taskArn }) => taskArn);

async function isProtected(task: Task | undefined): Promise<boolean | undefined> {
  const asked = { cluster: 'edge', tasks: [task?.taskArn ?? ''] };
  const { protectedTasks = [] } = await client.send(new GetTaskProtectionCommand(asked));
  return protectedTasks[0]?.protectionEnabled;
}

/** Waits for as long as the tests run: one that waits in vain ends by its own time limit. */
async function until(met: () => Promise<boolean | undefined> | boolean): Promise<void> {
  while (!isOver && !(await met())) await delay(50);
}

/** Begins a download from one task; the origin has sent half of it. */
async function download(task: Task | undefined): Promise<{ whole: Promise<number | 'cut'> }> {
  const port = task?.containers?.[0]?.networkBindings?.[0]?.hostPort;
  const response = await fetch(`http://127.0.0.1:${port}/weights.bin`);
  const whole = response.arrayBuffer().then(
    ({ byteLength }) => byteLength,
    () => 'cut' as const,
  );
  await until(() => begun.length > 0);
  return { whole };
}

const scale = (name: string, desiredCount: number) =>
  client.send(new UpdateServiceCommand({ cluster: 'edge', service: name, desiredCount }));

test('a download is cut when its task is taken, which a role without the permission cannot prevent', async () => {
  await service('bare', 2);
  const [oldest, newest] = await tasksOf('bare');
  const { whole } = await download(newest);
  await until(() => platform.lines.some((line) => line.startsWith('IAM denied ecs:UpdateTaskProtection on')));
  expect(await isProtected(newest)).toBe(false);
  await scale('bare', 1);
  expect(await whole).toBe('cut');
  // The task is listed for as long as its process takes to end.
  await until(async () => !(await arnsOf('bare')).includes(newest?.taskArn));
  expect(await arnsOf('bare')).toEqual([oldest?.taskArn]);
});

test('another task is taken instead while a download is under way, which ends whole', async () => {
  await service('kept', 2, PROTECT);
  const [oldest, newest] = await tasksOf('kept');
  const { whole } = await download(newest);
  await until(() => isProtected(newest));
  await scale('kept', 1);
  await until(async () => !(await arnsOf('kept')).includes(oldest?.taskArn));
  expect(await arnsOf('kept')).toEqual([newest?.taskArn]);
  begun[0]?.end(PART);
  expect(await whole).toBe(2 * PART.length);
  await until(async () => (await isProtected(newest)) === false);
});

test('a deployment waits for the task of a download, and goes on when it has ended or an operator says so', async () => {
  const group = await service('deployed', 1, PROTECT);
  const areHealthy = (count: number) => group.list().filter(({ state }) => state === 'healthy').length === count;
  const redeploy = () =>
    client.send(new UpdateServiceCommand({ cluster: 'edge', service: 'deployed', forceNewDeployment: true }));
  const [first] = await tasksOf('deployed');
  const { whole } = await download(first);
  await until(() => isProtected(first));
  await redeploy();
  await until(() => areHealthy(2));
  expect(await tasksOf('deployed')).toMatchObject([
    { taskArn: first?.taskArn, lastStatus: 'RUNNING' },
    { lastStatus: 'RUNNING' },
  ]);
  begun[0]?.end(PART);
  expect(await whole).toBe(2 * PART.length);
  await until(async () => !(await arnsOf('deployed')).includes(first?.taskArn));

  begun.length = 0;
  const [second] = await tasksOf('deployed');
  const cut = await download(second);
  await until(() => isProtected(second));
  await redeploy();
  await until(() => areHealthy(2));
  const released = { cluster: 'edge', tasks: [second?.taskArn ?? ''], protectionEnabled: false };
  const { protectedTasks } = await client.send(new UpdateTaskProtectionCommand(released));
  expect(protectedTasks).toMatchObject([{ taskArn: second?.taskArn, protectionEnabled: false }]);
  expect(await cut.whole).toBe('cut');
  await until(async () => !(await arnsOf('deployed')).includes(second?.taskArn));
});
