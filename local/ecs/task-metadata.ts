import type { IncomingMessage, ServerResponse } from 'node:http';
import { type LocalServer, serveLocally } from '../engine/http-server';
import type { Task } from './task';

/** What the metadata endpoint says of one task. */
export interface TaskIdentity {
  readonly task: Task;
  readonly clusterArn: string;
  readonly serviceName: string;
}

/**
 * The task metadata endpoint, version 4: where a container learns which task it is.
 * Paths and fields: Amazon ECS developer guide, "Task metadata endpoint version 4"; only the fields that identify.
 */
export class TaskMetadataEndpoint {
  private constructor(private readonly server: LocalServer) {}

  static async start(find: (taskId: string) => TaskIdentity | undefined): Promise<TaskMetadataEndpoint> {
    return new TaskMetadataEndpoint(await serveLocally((request, response) => answer(request, response, find)));
  }

  /** Value of `ECS_CONTAINER_METADATA_URI_V4` for a task. */
  uri(taskId: string): string {
    return `${this.server.url}/v4/${taskId}`;
  }

  close(): Promise<void> {
    return this.server.close();
  }
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  find: (taskId: string) => TaskIdentity | undefined,
): void {
  const [, taskId = '', isTask] = /^\/v4\/([0-9a-f]+)(\/task)?$/.exec(request.url ?? '') ?? [];
  const identity = find(taskId);
  response.writeHead(identity ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify(identity ? (isTask ? taskDocument(identity) : containerDocument(identity)) : {}));
}

function taskDocument(identity: TaskIdentity): object {
  const { task, clusterArn, serviceName } = identity;
  return {
    Cluster: clusterArn,
    ServiceName: serviceName,
    TaskARN: task.arn(task.id),
    Family: task.blueprint.family,
    Revision: '1',
    DesiredStatus: 'RUNNING',
    KnownStatus: task.status,
    LaunchType: 'FARGATE',
    AvailabilityZone: `${task.blueprint.region}a`,
    Containers: [containerDocument(identity)],
  };
}

function containerDocument({ task }: TaskIdentity): object {
  const { container } = task.blueprint;
  return {
    DockerId: `${task.id}-1`,
    Name: container.name,
    Image: container.image,
    KnownStatus: task.status,
    RestartCount: task.restartCount,
  };
}
