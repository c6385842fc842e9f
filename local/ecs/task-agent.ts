import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { ServiceError } from '../aws-front/service-error';
import { type LocalServer, serveLocally } from '../engine/http-server';
import { accessDenied } from '../iam/iam-stand-in';
import type { Service } from './service';
import type { Task } from './task';
import { changeProtection, PROTECTION_MINUTES, type ProtectionAnswer, protectionOf } from './task-protection';

/** A task with the service that it belongs to. */
export interface AgentTask {
  readonly task: Task;
  readonly service: Service;
}

const ProtectionState = z.strictObject({
  ProtectionEnabled: z.boolean(),
  ExpiresInMinutes: z.int().min(PROTECTION_MINUTES.min).max(PROTECTION_MINUTES.max).optional(),
});

/**
 * The API by which a container speaks with the ECS agent of its task, of which there is the scale-in protection. The agent
 * calls ECS as the task's role, so that role decides.
 * Paths and fields: Amazon ECS developer guide, "Amazon ECS task scale-in protection endpoint".
 */
export class TaskAgentEndpoint {
  private constructor(private readonly server: LocalServer) {}

  static async start(find: (taskId: string) => AgentTask | undefined): Promise<TaskAgentEndpoint> {
    return new TaskAgentEndpoint(await serveLocally((request, response) => void answer(request, response, find)));
  }

  /** Value of `ECS_AGENT_URI` for a task. */
  uri(taskId: string): string {
    return `${this.server.url}/api/${taskId}`;
  }

  close(): Promise<void> {
    return this.server.close();
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  find: (taskId: string) => AgentTask | undefined,
): Promise<void> {
  const [, taskId = ''] = /^\/api\/([0-9a-f]+)\/task-protection\/v1\/state$/.exec(request.url ?? '') ?? [];
  const found = find(taskId);
  try {
    if (!found) throw new ServiceError('ResourceNotFoundException', 'Failed to find a task for the request', 404);
    send(response, 200, document(found.task, await perform(request, found)));
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    const { code, message, status } = error;
    send(response, status, { error: { Arn: found?.task.arn(taskId), Code: code, Message: message } });
  }
}

async function perform(request: IncomingMessage, { task, service }: AgentTask): Promise<ProtectionAnswer> {
  if (request.method === 'GET') {
    authorize(task, service, 'ecs:GetTaskProtection');
    return protectionOf(task);
  }
  if (request.method !== 'PUT') throw new ServiceError('MethodNotAllowed', 'GET and PUT are there', 405);
  const { ProtectionEnabled: enabled, ExpiresInMinutes: minutes } = parseState(await text(request));
  authorize(task, service, 'ecs:UpdateTaskProtection');
  return changeProtection(service, task, { enabled, minutes });
}

function parseState(body: string): z.infer<typeof ProtectionState> {
  try {
    return ProtectionState.parse(JSON.parse(body));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : 'the body must be JSON';
    throw new ServiceError('InvalidParameterException', why);
  }
}

function authorize(task: Task, { options }: Service, action: string): void {
  const context = { 'ecs:cluster': options.clusterArn };
  const sentence = task.refusal({ action, resource: task.arn(task.id), context });
  if (sentence) throw accessDenied('ecs', sentence);
}

function document(task: Task, answered: ProtectionAnswer): object {
  const arn = task.arn(task.id);
  if ('failure' in answered) {
    const { reason, detail } = answered.failure;
    return { failure: { Arn: arn, Reason: reason, Detail: detail } };
  }
  const { enabled, until } = answered.protection;
  return { protection: { TaskArn: arn, ProtectionEnabled: enabled, ExpirationDate: until } };
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
