import { matchesWildcard } from '../../local/iam/wildcards';
import type { CheckedResource, CheckedStack } from './assembly';
import type { Check, Finding } from './finding';
import { at, listAt, objectAt, textAt, textsAt } from './json';
import { type Statement, statementsIn } from './policies';

/** Something that AWS does on its own, and what must allow it. */
interface Act {
  readonly by: CheckedResource;
  /** Service principal. */
  readonly service: string;
  /** ARN on whose behalf it acts. */
  readonly source: string;
  readonly action: string;
  readonly target: string;
}

/** Whoever calls a function, fills a queue or publishes to a topic on AWS's side is allowed to by the target. */
export const invocations: Check = {
  name: 'invocations',
  run: ({ stacks }) =>
    stacks.flatMap((stack) => [
      ...actsOf(stack)
        .filter((act) => !isAllowed(stack, act))
        .map((act) => ({
          stack: stack.name,
          resource: act.by.logicalId,
          problem: `${act.service} may not ${act.action} on ${act.target} for ${act.source}`,
          right: act.target.includes(':lambda:')
            ? 'a permission of the function for this principal and source'
            : "a statement of the target's policy for this principal",
        })),
      ...idlePermissions(stack),
      ...uncalledFunctions(stack),
      ...topicFaults(stack),
    ]),
};

/** What lets a service act that never does: half of a wiring whose other half is missing. */
function idlePermissions(stack: CheckedStack): Finding[] {
  const acts = actsOf(stack);
  const right = 'the subscription, rule or alarm that it is for, or no such permission';
  const permissions = stack.resources
    .filter(({ type }) => type === 'AWS::Lambda::Permission')
    .filter((permission) => !acts.some((act) => permits(permission, act, stack)))
    .map(({ logicalId, properties }) => ({
      stack: stack.name,
      resource: logicalId,
      problem: `lets ${textAt(properties, 'Principal')} invoke ${textAt(properties, 'FunctionName')}, which nothing asks for`,
      right,
    }));
  const statements = stack.resources
    .filter(({ type }) => ['AWS::SNS::TopicPolicy', 'AWS::SQS::QueuePolicy'].includes(type))
    .flatMap((policy) => statementsIn(stack, policy))
    .filter((statement) => statement.effect === 'Allow' && !acts.some((act) => allows(statement, act, stack)))
    .map(({ resource, actions, principal }) => ({
      stack: stack.name,
      resource: resource.logicalId,
      problem: `allows ${actions.join(', ')} to ${JSON.stringify(principal)}, which nothing asks for`,
      right,
    }));
  return [...permissions, ...statements];
}

/** Functions that neither AWS calls nor anybody can by name. */
function uncalledFunctions(stack: CheckedStack): Finding[] {
  const targets = actsOf(stack).map(({ target }) => target);
  return stack.resources
    .filter(({ type, properties }) => type === 'AWS::Lambda::Function' && textAt(properties, 'FunctionName') === '')
    .filter(({ name }) => !targets.some((target) => target.endsWith(`:function:${name}`)))
    .map(({ logicalId }) => ({
      stack: stack.name,
      resource: logicalId,
      problem: 'nothing calls it, and it has no FunctionName by which the operator or a program could',
      right: 'a subscription or a rule, or a name',
    }));
}

function actsOf(stack: CheckedStack): Act[] {
  return stack.resources.flatMap((by): Act[] => {
    const { type, properties } = by;
    if (type === 'AWS::SNS::Subscription') {
      const source = textAt(properties, 'TopicArn');
      const common = { by, service: 'sns.amazonaws.com', source };
      const queue = textAt(properties, 'RedrivePolicy', 'deadLetterTargetArn');
      const endpoint = textAt(properties, 'Endpoint');
      return [
        ...(textAt(properties, 'Protocol') === 'lambda'
          ? [{ ...common, action: 'lambda:InvokeFunction', target: endpoint }]
          : []),
        ...(queue === '' ? [] : [{ ...common, action: 'sqs:SendMessage', target: queue }]),
      ];
    }
    if (type === 'AWS::Events::Rule') {
      const source = `arn:aws:events:${stack.region}:${stack.account}:rule/${by.name}`;
      return listAt(properties, 'Targets').flatMap((target): Act[] => {
        const arn = textAt(target, 'Arn');
        const action = arn.includes(':lambda:') ? 'lambda:InvokeFunction' : 'sqs:SendMessage';
        return [{ by, service: 'events.amazonaws.com', source, action, target: arn }];
      });
    }
    if (type === 'AWS::SecretsManager::RotationSchedule') {
      // Only Secrets Manager knows the six characters that end the ARN.
      const source = `arn:aws:secretsmanager:${stack.region}:${stack.account}:secret:${textAt(properties, 'SecretId')}-??????`;
      const target = textAt(properties, 'RotationLambdaARN');
      return [{ by, service: 'secretsmanager.amazonaws.com', source, action: 'lambda:InvokeFunction', target }];
    }
    if (type === 'AWS::CloudWatch::Alarm' || type === 'AWS::CloudWatch::CompositeAlarm') {
      const source = `arn:aws:cloudwatch:${stack.region}:${stack.account}:alarm:${by.name}`;
      const targets = ['AlarmActions', 'OKActions', 'InsufficientDataActions'].flatMap((name) =>
        textsAt(properties, name),
      );
      return [...new Set(targets)].map((target) => ({
        by,
        service: 'cloudwatch.amazonaws.com',
        source,
        action: 'sns:Publish',
        target,
      }));
    }
    return [];
  });
}

function isAllowed(stack: CheckedStack, act: Act): boolean {
  if (act.action === 'lambda:InvokeFunction') {
    return stack.resources.some(
      (resource) => resource.type === 'AWS::Lambda::Permission' && permits(resource, act, stack),
    );
  }
  const target = stack.resources.find(
    ({ ref, properties, type, name }) =>
      ref === act.target ||
      (type === 'AWS::SQS::Queue' && act.target.endsWith(`:${name}`)) ||
      at(properties, 'Arn') === act.target,
  );
  if (!target) return false;
  const policies = stack.resources
    .filter(({ properties }) =>
      [...textsAt(properties, 'Topics'), ...textsAt(properties, 'Queues')].includes(target.ref),
    )
    .flatMap((resource) => statementsIn(stack, resource));
  return policies.some((statement) => allows(statement, act, stack)) && keyAllows(stack, target, act);
}

/** Whether a permission of a function is for this act, and not for every source of its service. */
function permits({ properties }: CheckedResource, act: Act, stack: CheckedStack): boolean {
  return (
    textAt(properties, 'Action') === act.action &&
    textAt(properties, 'Principal') === act.service &&
    [functionArn(stack, act.target), act.target].includes(textAt(properties, 'FunctionName')) &&
    textAt(properties, 'SourceArn') === act.source
  );
}

function functionArn(stack: CheckedStack, target: string): string {
  return (
    stack.resources.find(({ type, name }) => type === 'AWS::Lambda::Function' && target.endsWith(`:${name}`))?.ref ??
    target
  );
}

function allows(statement: Statement, { service, action, source, target }: Act, { account }: CheckedStack): boolean {
  const conditions = Object.values(statement.condition).flatMap((keys) => Object.entries(objectAt(keys)));
  const context: Readonly<Record<string, string>> = { 'aws:SourceArn': source, 'aws:SourceAccount': account };
  return (
    statement.effect === 'Allow' &&
    textsAt(statement.principal, 'Service').includes(service) &&
    statement.actions.some((pattern) => matchesWildcard(pattern, action)) &&
    statement.resources.some((pattern) => matchesWildcard(pattern, target) || pattern === '*') &&
    conditions.every(([key, values]) =>
      [values].flat().some((value) => matchesWildcard(String(value), context[key] ?? '')),
    )
  );
}

/** A topic encrypted with a key of the account takes messages only from services that may use the key. */
function keyAllows(stack: CheckedStack, { properties }: CheckedResource, act: Act): boolean {
  const keyId = textAt(properties, 'KmsMasterKeyId');
  if (keyId === '') return true;
  const key = stack.resources.find(({ type, name }) => type === 'AWS::KMS::Key' && keyId.endsWith(name));
  const statements = key ? statementsIn(stack, key) : [];
  return ['kms:Decrypt', 'kms:GenerateDataKey'].every((action) =>
    statements.some((statement) => allows(statement, { ...act, action, target: '*' }, stack)),
  );
}

/** What SNS cannot deliver, although a template may ask for it. */
function topicFaults(stack: CheckedStack): Finding[] {
  return stack.resources.flatMap(({ type, logicalId, properties }): Finding[] => {
    if (type !== 'AWS::SNS::Subscription' || textAt(properties, 'Protocol') !== 'lambda') return [];
    const topic = textAt(properties, 'TopicArn');
    const regions = [topic, textAt(properties, 'Endpoint')].map((arn) => arn.split(':')[3]);
    const common = { stack: stack.name, resource: logicalId };
    return [
      ...(topic.endsWith('.fifo')
        ? [{ ...common, problem: 'a FIFO topic does not deliver to functions', right: 'a standard topic' }]
        : []),
      ...(regions[0] === regions[1]
        ? []
        : [
            {
              ...common,
              problem: `its topic is in ${regions[0]}, its function in ${regions[1]}: opt-in regions refuse that`,
              right: 'a topic in the region of the function',
            },
          ]),
    ];
  });
}
