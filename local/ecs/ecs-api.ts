import { z } from 'zod';
import { type JsonAction, jsonApi } from '../aws-front/json-protocol';
import { ServiceError } from '../aws-front/service-error';
import type { AwsApi, CallContext } from '../engine/types';
import type { Service } from './service';
import type { Task } from './task';
import { changeProtection, PROTECTION_MINUTES, type ProtectionAnswer, protectionOf } from './task-protection';

const inCluster = { cluster: z.string().default('default') };

const ListTasks = z.looseObject({ ...inCluster, serviceName: z.string().optional() });
const DescribeTasks = z.looseObject({ ...inCluster, tasks: z.array(z.string()).min(1) });
const StopTask = z.looseObject({ ...inCluster, task: z.string(), reason: z.string().default('Task stopped by user') });
const DescribeServices = z.looseObject({ ...inCluster, services: z.array(z.string()).min(1) });
const UpdateService = z.strictObject({
  ...inCluster,
  service: z.string(),
  desiredCount: z.int().min(0).optional(),
  forceNewDeployment: z.boolean().default(false),
});
const GetTaskProtection = z.strictObject({ ...inCluster, tasks: z.array(z.string()).min(1).max(10) });
const UpdateTaskProtection = GetTaskProtection.extend({
  protectionEnabled: z.boolean(),
  expiresInMinutes: z.int().min(PROTECTION_MINUTES.min).max(PROTECTION_MINUTES.max).optional(),
});

/** The ECS API for operators: look at tasks and services, stop and protect tasks, scale and redeploy a service. */
export function ecsApi(services: () => readonly Service[]): AwsApi {
  const servicesOf = (cluster: string, { region }: CallContext) =>
    services().filter(({ options }) => options.blueprint.region === region && isNamed(cluster, options.clusterArn));
  const serviceNamed = (cluster: string, name: string, context: CallContext) => {
    const service = servicesOf(cluster, context).find(({ options }) => isNamed(name, options.arn));
    if (!service)
      throw new ServiceError('ServiceNotFoundException', `there is no service ${name} in cluster ${cluster}`);
    return service;
  };
  const taskNamed = (cluster: string, name: string, context: CallContext) => {
    for (const service of servicesOf(cluster, context)) {
      const task = [...service.tasks].find((candidate) => isNamed(name, candidate.arn(candidate.id)));
      if (task) return { service, task };
    }
    return undefined;
  };

  const actions: Record<string, JsonAction> = {
    ListTasks: (input, context) => {
      const { cluster, serviceName } = parse(ListTasks, input);
      const chosen = serviceName ? [serviceNamed(cluster, serviceName, context)] : servicesOf(cluster, context);
      return { taskArns: chosen.flatMap(({ tasks }) => [...tasks].map((task) => task.arn(task.id))) };
    },
    DescribeTasks: (input, context) => {
      const { cluster, tasks } = parse(DescribeTasks, input);
      const found = tasks.map((name) => ({ name, owner: taskNamed(cluster, name, context) }));
      return {
        tasks: found.flatMap(({ owner }) => (owner ? [taskDescription(owner.task, owner.service)] : [])),
        failures: found.flatMap(({ name, owner }) => (owner ? [] : [{ arn: name, reason: 'MISSING' }])),
      };
    },
    StopTask: (input, context) => {
      const { cluster, task: name, reason } = parse(StopTask, input);
      const owner = taskNamed(cluster, name, context);
      if (!owner) throw new ServiceError('InvalidParameterException', `The referenced task was not found: ${name}`);
      void owner.service.retire(owner.task, reason);
      return { task: taskDescription(owner.task, owner.service) };
    },
    DescribeServices: (input, context) => {
      const { cluster, services: names } = parse(DescribeServices, input);
      return { services: names.map((name) => serviceDescription(serviceNamed(cluster, name, context))), failures: [] };
    },
    UpdateService: (input, context) => {
      const { cluster, service: name, desiredCount, forceNewDeployment } = parse(UpdateService, input);
      const service = serviceNamed(cluster, name, context);
      if (desiredCount !== undefined) service.scale(desiredCount);
      if (forceNewDeployment) service.redeploy();
      return { service: serviceDescription(service) };
    },
    GetTaskProtection: (input, context) => {
      const { cluster, tasks } = parse(GetTaskProtection, input);
      return protections(
        tasks,
        (name) => taskNamed(cluster, name, context),
        ({ task }) => protectionOf(task),
      );
    },
    UpdateTaskProtection: (input, context) => {
      const {
        cluster,
        tasks,
        protectionEnabled: enabled,
        expiresInMinutes: minutes,
      } = parse(UpdateTaskProtection, input);
      const change = ({ service, task }: OwnedTask) => changeProtection(service, task, { enabled, minutes });
      return protections(tasks, (name) => taskNamed(cluster, name, context), change);
    },
  };
  return jsonApi('ecs', actions);
}

interface OwnedTask {
  readonly service: Service;
  readonly task: Task;
}

/** The answer of both calls about protection: how each task stands, and those of which it cannot be said. */
function protections(
  names: readonly string[],
  find: (name: string) => OwnedTask | undefined,
  ask: (owned: OwnedTask) => ProtectionAnswer,
): object {
  const answers = names.map((name) => {
    const owned = find(name);
    const missing: ProtectionAnswer = { failure: { reason: 'MISSING', detail: 'there is no such task' } };
    return { arn: owned?.task.arn(owned.task.id) ?? name, answer: owned ? ask(owned) : missing };
  });
  return {
    protectedTasks: answers.flatMap(({ arn, answer }) => {
      if (!('protection' in answer)) return [];
      const { enabled, until } = answer.protection;
      return [{ taskArn: arn, protectionEnabled: enabled, expirationDate: until && until.getTime() / 1000 }];
    }),
    failures: answers.flatMap(({ arn, answer }) => ('failure' in answer ? [{ arn, ...answer.failure }] : [])),
  };
}

/** Whether `name` is the ARN or its last part. */
function isNamed(name: string, arn: string): boolean {
  return name === arn || arn.endsWith(`/${name}`);
}

function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(input);
  if (!parsed.success) throw new ServiceError('InvalidParameterException', z.prettifyError(parsed.error));
  return parsed.data;
}

function taskDescription(task: Task, { options }: Service): object {
  const { container, arn } = task.blueprint;
  return {
    taskArn: task.arn(task.id),
    clusterArn: options.clusterArn,
    taskDefinitionArn: arn,
    group: `service:${options.name}`,
    lastStatus: task.status,
    desiredStatus: task.status === 'RUNNING' || task.status === 'PENDING' ? 'RUNNING' : 'STOPPED',
    launchType: 'FARGATE',
    createdAt: task.createdAt.getTime() / 1000,
    stoppedReason: task.stoppedReason || undefined,
    containers: [
      {
        name: container.name,
        image: container.image,
        taskArn: task.arn(task.id),
        lastStatus: task.status,
        // The process id: what a container runtime's id is for on this machine.
        runtimeId: task.pid === undefined ? undefined : String(task.pid),
        networkBindings: [
          { bindIP: '127.0.0.1', containerPort: container.port, hostPort: task.hostPort, protocol: 'tcp' },
        ],
      },
    ],
  };
}

function serviceDescription(service: Service): object {
  const { options } = service;
  return {
    serviceArn: options.arn,
    serviceName: options.name,
    clusterArn: options.clusterArn,
    status: 'ACTIVE',
    taskDefinition: options.blueprint.arn,
    desiredCount: service.desiredCount,
    runningCount: service.runningCount,
    pendingCount: service.desiredCount - service.runningCount,
  };
}
