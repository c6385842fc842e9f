import type { Service } from '../../../local/ecs/service';
import type { Task } from '../../../local/ecs/task';
import { TaskAgentEndpoint } from '../../../local/ecs/task-agent';
import { ScaleInProtection } from '../../../local/ecs/task-protection';
import type { Question } from '../../../local/iam/iam-stand-in';

const ID = '0123456789abcdef';
const ARN = `arn:aws:ecs:us-east-1:1:task/edge/${ID}`;
const CLUSTER = 'arn:aws:ecs:us-east-1:1:cluster/edge';

const questions: Question[] = [];
let refusal: string | undefined;
const task = {
  id: ID,
  status: 'RUNNING',
  arn: () => ARN,
  protection: new ScaleInProtection(() => undefined),
  refusal: (question: Question) => {
    questions.push(question);
    return refusal;
  },
} as unknown as Task;
const service = { options: { clusterArn: CLUSTER }, desiredCount: 1, tasks: new Set([task]) } as unknown as Service;
let agent: TaskAgentEndpoint;

beforeAll(async () => {
  agent = await TaskAgentEndpoint.start((id) => (id === ID ? { task, service } : undefined));
});
afterAll(async () => {
  task.protection.drop();
  await agent.close();
});
beforeEach(() => {
  questions.length = 0;
  refusal = undefined;
});

async function state(method: string, body?: unknown, id = ID) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${agent.uri(id)}/task-protection/v1/state`, { method, ...(text && { body: text }) });
  return { status: response.status, body: (await response.json()) as Record<string, Record<string, string>> };
}

test('a task protects itself, looks at it and lets go, each as its role may', async () => {
  const before = Date.now();
  const on = await state('PUT', { ProtectionEnabled: true, ExpiresInMinutes: 60 });
  expect(on).toMatchObject({ status: 200, body: { protection: { TaskArn: ARN, ProtectionEnabled: true } } });
  const minutes = (Date.parse(on.body.protection?.ExpirationDate ?? '') - before) / 60_000;
  expect(Math.round(minutes)).toBe(60);
  expect(await state('GET')).toEqual(on);
  expect(await state('PUT', { ProtectionEnabled: false })).toEqual({
    status: 200,
    body: { protection: { TaskArn: ARN, ProtectionEnabled: false } },
  });
  const context = { 'ecs:cluster': CLUSTER };
  expect(questions).toEqual(
    ['UpdateTaskProtection', 'GetTaskProtection', 'UpdateTaskProtection'].map((action) => ({
      action: `ecs:${action}`,
      resource: ARN,
      context,
    })),
  );
});

test('what its role may not, it does not get', async () => {
  refusal = 'not authorized';
  expect(await state('PUT', { ProtectionEnabled: true })).toEqual({
    status: 400,
    body: { error: { Arn: ARN, Code: 'AccessDeniedException', Message: 'not authorized' } },
  });
  expect(task.protection.isOn).toBe(false);
});

test('what ECS refuses is no error of the agent', async () => {
  const blocked = { ...service, desiredCount: 0 } as unknown as Service;
  const other = await TaskAgentEndpoint.start(() => ({ task, service: blocked }));
  const response = await fetch(`${other.uri(ID)}/task-protection/v1/state`, {
    method: 'PUT',
    body: '{"ProtectionEnabled":true}',
  });
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ failure: { Arn: ARN, Reason: 'DEPLOYMENT_BLOCKED' } });
  await other.close();
});

test.each([
  ['PUT', 'no JSON', 400, 'InvalidParameterException'],
  ['PUT', {}, 400, 'InvalidParameterException'],
  ['PUT', { ProtectionEnabled: true, ExpiresInMinutes: 0 }, 400, 'InvalidParameterException'],
  ['PUT', { ProtectionEnabled: true, ExpiresInMinutes: 2881 }, 400, 'InvalidParameterException'],
  ['PUT', { ProtectionEnabled: true, Expires: 1 }, 400, 'InvalidParameterException'],
  ['POST', { ProtectionEnabled: true }, 405, 'MethodNotAllowed'],
])('%s %j is refused', async (method, body, status, code) => {
  expect(await state(method, body)).toMatchObject({ status, body: { error: { Code: code } } });
  expect(task.protection.isOn).toBe(false);
});

test('a task that is not there is not found', async () => {
  expect(await state('GET', undefined, 'abc')).toMatchObject({
    status: 404,
    body: { error: { Code: 'ResourceNotFoundException' } },
  });
});
