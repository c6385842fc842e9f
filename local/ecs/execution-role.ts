import type { IamStandIn, Question } from '../iam/iam-stand-in';
import type { TaskBlueprint } from './task-blueprint';

/** The service that runs tasks, and assumes both roles of a task definition. */
export const ECS_TASKS = 'ecs-tasks.amazonaws.com';

const IMAGE = /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com\/([^:@]+)/;

/**
 * What keeps Fargate from starting a task's container: pulling the image and shipping the log as the execution role.
 * Source: Amazon ECS developer guide, "Amazon ECS task execution IAM role".
 */
export function executionFindings({ family, ...blueprint }: TaskBlueprint, iam: IamStandIn): string[] {
  const needs = neededActions(blueprint);
  const { executionRoleArn } = blueprint;
  if (executionRoleArn === undefined) {
    const [first] = needs;
    return first ? [`task definition ${family}: without ExecutionRoleArn nobody may ${first.action}`] : [];
  }
  return needs.flatMap((question) => {
    const sentence = iam.missing(executionRoleArn, ECS_TASKS, question);
    return sentence ? [`task definition ${family}: ${sentence}`] : [];
  });
}

function neededActions({ container, logGroup, arn }: Omit<TaskBlueprint, 'family'>): Question[] {
  const [, , , region, account] = arn.split(':');
  const [, registry, registryRegion, repository] = IMAGE.exec(container.image) ?? [];
  const repositoryArn = `arn:aws:ecr:${registryRegion}:${registry}:repository/${repository}`;
  const pulling = ['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'];
  const logStreamArn = `arn:aws:logs:${region}:${account}:log-group:${logGroup}:log-stream:${container.name}`;
  const shipping = ['logs:CreateLogStream', 'logs:PutLogEvents'];
  return [
    ...(repository ? [{ action: 'ecr:GetAuthorizationToken', resource: '*' }] : []),
    ...(repository ? pulling.map((action) => ({ action, resource: repositoryArn })) : []),
    ...(logGroup ? shipping.map((action) => ({ action, resource: logStreamArn })) : []),
  ];
}
