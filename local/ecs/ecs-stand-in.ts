import { z } from 'zod';
import type { ElbStandIn } from '../elb/elb-stand-in';
import { physicalName } from '../engine/physical-name';
import type { Platform } from '../engine/platform';
import { parseProperties } from '../engine/properties';
import type { AwsApi, Resource, ResourceModule, Running } from '../engine/types';
import { ecsApi } from './ecs-api';
import { ECS_TASKS, executionFindings } from './execution-role';
import { Service } from './service';
import { TaskAgentEndpoint } from './task-agent';
import { type TaskBlueprint, taskBlueprint } from './task-blueprint';
import { TaskMetadataEndpoint } from './task-metadata';

const ClusterProperties = z.object({ ClusterName: z.string().optional() });

const ServiceProperties = z.object({
  Cluster: z.string(),
  ServiceName: z.string().optional(),
  TaskDefinition: z.string(),
  DesiredCount: z.coerce.number().int().min(0).default(1),
  HealthCheckGracePeriodSeconds: z.coerce.number().default(0),
  NetworkConfiguration: z
    .object({ AwsvpcConfiguration: z.looseObject({ SecurityGroups: z.array(z.string()).default([]) }) })
    .optional(),
  LaunchType: z.literal('FARGATE', { error: 'only FARGATE is run here' }).default('FARGATE'),
  LoadBalancers: z
    .array(z.looseObject({ ContainerName: z.string(), ContainerPort: z.coerce.number(), TargetGroupArn: z.string() }))
    .default([]),
});

/** How a service is rolled out and what it is called do not matter to one that runs on this machine. */
const INERT_SERVICE_PROPERTIES = [
  'AvailabilityZoneRebalancing',
  'CapacityProviderStrategy',
  'DeploymentConfiguration',
  'DeploymentController',
  'EnableECSManagedTags',
  'EnableExecuteCommand',
  'PlatformVersion',
  'PropagateTags',
  'SchedulingStrategy',
];

/** ECS on Fargate: tasks are child processes that run the image's entry point in its build context. */
export class EcsStandIn {
  private readonly clusters = new Map<string, string>();
  private readonly blueprints = new Map<string, TaskBlueprint>();
  private readonly services = new Map<string, Service>();
  private metadata: TaskMetadataEndpoint | undefined;
  private agent: TaskAgentEndpoint | undefined;

  private constructor(
    private readonly platform: Platform,
    private readonly elb: ElbStandIn,
  ) {}

  /** Opens the endpoints that tasks ask about themselves; `close` ends them. */
  static async start(platform: Platform, elb: ElbStandIn): Promise<EcsStandIn> {
    const ecs = new EcsStandIn(platform, elb);
    ecs.metadata = await TaskMetadataEndpoint.start((taskId) => ecs.identify(taskId));
    ecs.agent = await TaskAgentEndpoint.start((taskId) => ecs.find(taskId));
    return ecs;
  }

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::ECS::Cluster', start: async (resource) => this.startCluster(resource) },
    { type: 'AWS::ECS::TaskDefinition', start: async (resource) => this.startTaskDefinition(resource) },
    { type: 'AWS::ECS::Service', start: (resource) => this.startService(resource) },
  ];

  readonly api: AwsApi = ecsApi(() => [...this.services.values()]);

  /** What keeps ECS from starting the tasks of the templates. */
  findings(): string[] {
    return [...this.blueprints.values()].flatMap((blueprint) => executionFindings(blueprint, this.platform.iam));
  }

  async close(): Promise<void> {
    await Promise.all([this.metadata?.close(), this.agent?.close()]);
  }

  private startCluster(resource: Resource): Running {
    const inert = ['CapacityProviders', 'ClusterSettings', 'Configuration', 'DefaultCapacityProviderStrategy'];
    const name = parseProperties(resource, ClusterProperties, inert).ClusterName ?? physicalName(resource, 255);
    const arn = `arn:aws:ecs:${resource.region}:${resource.account}:cluster/${name}`;
    this.clusters.set(arn, name);
    return { ref: name, attributes: { Arn: arn } };
  }

  private startTaskDefinition(resource: Resource): Running {
    const blueprint = taskBlueprint(resource);
    for (const roleArn of [blueprint.taskRoleArn, blueprint.executionRoleArn]) {
      if (roleArn !== undefined) this.platform.iam.requireTrust(roleArn, ECS_TASKS);
    }
    this.blueprints.set(blueprint.arn, blueprint);
    return { ref: blueprint.arn, attributes: { TaskDefinitionArn: blueprint.arn } };
  }

  private async startService(resource: Resource): Promise<Running> {
    const properties = parseProperties(resource, ServiceProperties, INERT_SERVICE_PROPERTIES);
    const blueprint = this.blueprints.get(properties.TaskDefinition);
    if (!blueprint) throw new Error(`TaskDefinition: there is no task definition ${properties.TaskDefinition}`);
    const clusterPrefix = `arn:aws:ecs:${resource.region}:${resource.account}:cluster/`;
    const clusterArn = properties.Cluster.startsWith('arn:')
      ? properties.Cluster
      : `${clusterPrefix}${properties.Cluster}`;
    const clusterName = this.clusters.get(clusterArn);
    if (!clusterName) throw new Error(`Cluster: there is no cluster ${properties.Cluster} in ${resource.region}`);
    for (const { ContainerName, ContainerPort } of properties.LoadBalancers) {
      const { name: containerName, port } = blueprint.container;
      if (ContainerName !== containerName || ContainerPort !== port) {
        throw new Error(
          `LoadBalancers: ${ContainerName}:${ContainerPort} is not mapped by the task, which has ${containerName}:${port}`,
        );
      }
    }
    const name = properties.ServiceName ?? physicalName(resource, 255);
    const inCluster = (kind: string, id: string) =>
      `arn:aws:ecs:${resource.region}:${resource.account}:${kind}/${clusterName}/${id}`;
    const service = new Service(
      {
        name,
        arn: inCluster('service', name),
        clusterArn,
        blueprint,
        securityGroups: properties.NetworkConfiguration?.AwsvpcConfiguration.SecurityGroups ?? [],
        targetGroups: properties.LoadBalancers.map(({ TargetGroupArn }) => this.elb.targetGroup(TargetGroupArn)),
        gracePeriodMs: properties.HealthCheckGracePeriodSeconds * 1000,
        taskArn: (id) => inCluster('task', id),
        metadataUri: (id) => opened(this.metadata).uri(id),
        agentUri: (id) => opened(this.agent).uri(id),
      },
      this.platform,
    );
    this.services.set(service.options.arn, service);
    await service.start(properties.DesiredCount);
    return {
      ref: service.options.arn,
      attributes: { Name: name, ServiceArn: service.options.arn },
      stop: async () => {
        this.services.delete(service.options.arn);
        await service.close();
      },
    };
  }

  private find(taskId: string) {
    for (const service of this.services.values()) {
      const task = [...service.tasks].find(({ id }) => id === taskId);
      if (task) return { task, service };
    }
    return undefined;
  }

  private identify(taskId: string) {
    const { task, service } = this.find(taskId) ?? {};
    return task && service && { task, clusterArn: service.options.clusterArn, serviceName: service.options.name };
  }
}

function opened<T>(endpoint: T | undefined): T {
  if (endpoint === undefined) throw new Error('ECS is not started: its endpoints for tasks are not open');
  return endpoint;
}
