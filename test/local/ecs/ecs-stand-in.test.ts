import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  DescribeServicesCommand,
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
  StopTaskCommand,
  UpdateServiceCommand,
} from '@aws-sdk/client-ecs';
import { EcsStandIn } from '../../../local/ecs/ecs-stand-in';
import { Certificates } from '../../../local/elb/certificates';
import { ElbStandIn } from '../../../local/elb/elb-stand-in';
import type { ResourceModule, Running } from '../../../local/engine/types';
import { serverImage } from '../support/images';
import { clientSettings, resource, testPlatform } from '../support/platform';

const platform = testPlatform();
const elb = new ElbStandIn(new Certificates());
const stops: (() => Promise<void>)[] = [];
let modules: ResourceModule[];
let client: ECSClient;
let imageDirectory: string;

beforeAll(async () => {
  const ecs = await EcsStandIn.start(platform.get(), elb);
  stops.push(() => ecs.close());
  platform.get().front.serve(ecs.api);
  modules = [...elb.modules, ...ecs.modules];
  client = new ECSClient(clientSettings(platform.get()));
  imageDirectory = serverImage(platform.directory);
  await start('AWS::ECS::Cluster', 'Cluster', { ClusterName: 'edge' });
});
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

async function start(
  type: string,
  logicalId: string,
  properties: Record<string, unknown>,
  directory = imageDirectory,
): Promise<Running> {
  const module = modules.find((candidate) => candidate.type === type);
  if (!module) throw new Error(`no module for ${type}`);
  const base = resource(type, logicalId, properties);
  const running = await module.start({ ...base, assets: { ...base.assets, imageDirectoryByTag: () => directory } });
  if (running.stop) stops.push(running.stop);
  return running;
}

function container(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    Name: 'edge',
    Image: '0.dkr.ecr.us-east-1.amazonaws.com/images:tag',
    Environment: [
      { Name: 'PORT', Value: '8080' },
      { Name: 'HOST', Value: '0.0.0.0' },
      { Name: 'MODE', Value: 'task' },
      { Name: 'DISK_CACHE_DIR', Value: '/var/cache/mlcdn' },
    ],
    PortMappings: [{ ContainerPort: 8080 }],
    MountPoints: [{ ContainerPath: '/var/cache/mlcdn', SourceVolume: 'cache', ReadOnly: false }],
    RestartPolicy: { Enabled: true },
    ...overrides,
  };
}

function definition(overrides: Record<string, unknown> = {}): Record<string, unknown> {
  return { NetworkMode: 'awsvpc', ContainerDefinitions: [container(overrides)], Volumes: [{ Name: 'cache' }] };
}

async function service(name: string, desiredCount: number) {
  const group = await start('AWS::ElasticLoadBalancingV2::TargetGroup', `Group${name}`, {
    Protocol: 'HTTP',
    TargetType: 'ip',
    HealthCheckPath: '/health',
    HealthCheckIntervalSeconds: 1,
    HealthyThresholdCount: 2,
    UnhealthyThresholdCount: 5,
    TargetGroupAttributes: [{ Key: 'deregistration_delay.timeout_seconds', Value: '1' }],
  });
  const task = await start('AWS::ECS::TaskDefinition', `Task${name}`, definition());
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

interface Answer {
  readonly pid: number;
  readonly starts: number;
  readonly environment: Record<string, string>;
  readonly metadata: Record<string, unknown>;
}

async function ask(port: number, path = '/'): Promise<Answer> {
  return (await (await fetch(`http://127.0.0.1:${port}${path}`)).json()) as Answer;
}

/** Asks until another process answers; refused connections are the time between the two. */
async function answerOfNextProcess(port: number, pid: number): Promise<Answer> {
  for (;;) {
    const answer = await ask(port).catch(() => undefined);
    if (answer && answer.pid !== pid) return answer;
    await delay(20);
  }
}

async function tasks(serviceName: string) {
  const { taskArns = [] } = await client.send(new ListTasksCommand({ cluster: 'edge', serviceName }));
  return (await client.send(new DescribeTasksCommand({ cluster: 'edge', tasks: taskArns }))).tasks ?? [];
}

describe('an ECS service', () => {
  test('runs the image with the task environment on its own port and volume', async () => {
    const group = await service('one', 1);
    const [target] = group.list();
    expect(target?.state).toBe('healthy');
    const [task] = await tasks('one');
    const { environment, metadata, starts, pid } = await ask(target?.port ?? 0);
    const [binding] = task?.containers?.[0]?.networkBindings ?? [];
    expect(binding).toMatchObject({ bindIP: '127.0.0.1', containerPort: 8080, hostPort: target?.port });
    expect(task?.containers?.[0]?.runtimeId).toBe(String(pid));
    expect(starts).toBe(1);
    expect(environment).toMatchObject({
      PORT: String(target?.port),
      HOST: '127.0.0.1',
      MODE: 'task',
      FLAVOUR: 'plain vanilla',
      AWS_REGION: 'us-east-1',
      DISK_CACHE_DIR: expect.stringContaining(join(platform.directory, 'tasks')),
    });
    expect(environment).not.toHaveProperty('HOME');
    expect(metadata).toMatchObject({
      TaskARN: task?.taskArn,
      Cluster: 'arn:aws:ecs:us-east-1:000000000000:cluster/edge',
    });
  });

  test('restarts a crashed container in its task, on the same volume', async () => {
    const group = await service('crash', 1);
    const [target] = group.list();
    const port = target?.port ?? 0;
    const before = await ask(port, '/crash');
    const after = await answerOfNextProcess(port, before.pid);
    expect(after.starts).toBe(2);
    expect(after.metadata.TaskARN).toBe(before.metadata.TaskARN);
    expect(after.metadata).toMatchObject({ Containers: [{ RestartCount: 1 }] });
  });

  test('replaces a stopped task by a fresh one, and follows the desired count', async () => {
    const group = await service('stop', 1);
    const [old] = await tasks('stop');
    const replaced = once(group, 'health');
    await client.send(new StopTaskCommand({ cluster: 'edge', task: old?.taskArn, reason: 'test' }));
    await replaced;
    const [fresh] = await tasks('stop');
    expect(fresh?.taskArn).not.toBe(old?.taskArn);
    expect((await ask(group.list().find(({ state }) => state === 'healthy')?.port ?? 0)).starts).toBe(1);

    const grown = once(group, 'health');
    await client.send(new UpdateServiceCommand({ cluster: 'edge', service: 'stop', desiredCount: 2 }));
    await grown;
    const { services } = await client.send(new DescribeServicesCommand({ cluster: 'edge', services: ['stop'] }));
    expect(services).toMatchObject([{ desiredCount: 2, runningCount: 2 }]);
  });

  test('a service whose tasks keep ending fails with their last words and leaves nothing', async () => {
    const broken = serverImage(platform.directory, 'console.error("cannot open the cache"); process.exit(1);');
    const task = await start('AWS::ECS::TaskDefinition', 'TaskBroken', definition(), broken);
    const properties = { Cluster: 'edge', ServiceName: 'broken', TaskDefinition: task.ref };
    const group = await start('AWS::ElasticLoadBalancingV2::TargetGroup', 'GroupBroken', {
      Protocol: 'HTTP',
      TargetType: 'ip',
    });
    const loadBalancers = [{ ContainerName: 'edge', ContainerPort: 8080, TargetGroupArn: group.ref }];
    const before = readdirSync(join(platform.directory, 'pids')).length;
    await expect(
      start('AWS::ECS::Service', 'ServiceBroken', { ...properties, LoadBalancers: loadBalancers }),
    ).rejects.toThrow(/3 tasks in a row ended before they were healthy; last words: cannot open the cache/);
    expect(readdirSync(join(platform.directory, 'pids'))).toHaveLength(before);
  });

  test('refuses wiring that could not work', async () => {
    const define = (overrides: Record<string, unknown>) =>
      start('AWS::ECS::TaskDefinition', 'Odd', definition(overrides));
    await expect(define({ Environment: [{ Name: 'PORT', Value: '80' }] })).rejects.toThrow(
      'Environment.PORT is 80, but the port mapping is 8080',
    );
    await expect(define({ Environment: [] })).rejects.toThrow('PORT is missing');
    const port = { Name: 'PORT', Value: '8080' };
    await expect(define({ Environment: [port] })).rejects.toThrow('HOST is missing');
    const loopback = { Name: 'HOST', Value: '127.0.0.1' };
    await expect(define({ Environment: [port, loopback] })).rejects.toThrow('HOST is 127.0.0.1, but');
    await expect(define({ Secrets: [{ Name: 'A', ValueFrom: 'x' }] })).rejects.toThrow(/Secrets/);
    const mount = { ContainerPath: '/x', SourceVolume: 'other' };
    await expect(define({ MountPoints: [mount] })).rejects.toThrow('the task has no volume other');
    const task = await start('AWS::ECS::TaskDefinition', 'TaskWrong', definition());
    const loadBalancers = [{ ContainerName: 'edge', ContainerPort: 9090, TargetGroupArn: 'x' }];
    const wrong = { Cluster: 'edge', TaskDefinition: task.ref, LoadBalancers: loadBalancers };
    await expect(start('AWS::ECS::Service', 'ServiceWrong', wrong)).rejects.toThrow(
      'edge:9090 is not mapped by the task',
    );
    await expect(start('AWS::ECS::Service', 'ServiceLost', { ...wrong, Cluster: 'gone' })).rejects.toThrow(
      'there is no cluster gone',
    );
  });
});
