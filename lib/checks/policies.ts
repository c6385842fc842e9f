import type { CheckedAssembly, CheckedResource, CheckedStack } from './assembly';
import { at, type JsonObject, listAt, objectAt, textAt, textsAt } from './json';

/** Properties that hold a policy document, of resources of any type. */
const DOCUMENTS = ['PolicyDocument', 'AssumeRolePolicyDocument', 'KeyPolicy', 'ResourcePolicy'];

/** One statement of a policy document. */
export interface Statement {
  readonly stack: CheckedStack;
  readonly resource: CheckedResource;
  /** Whether its principal is the identity that it is attached to. */
  readonly ofIdentity: boolean;
  /** Whether it says who may assume a role. */
  readonly ofTrust: boolean;
  /** Whether it says what it is not about, so that `actions` or `resources` are the exceptions. */
  readonly isNegated: boolean;
  readonly effect: string;
  /** Patterns such as `s3:Get*`. */
  readonly actions: readonly string[];
  /** Patterns; empty in trust policies. */
  readonly resources: readonly string[];
  readonly principal: unknown;
  /** Operator -> key -> values. */
  readonly condition: JsonObject;
}

/** Every statement of every policy document of an environment. */
export function statementsOf({ stacks }: CheckedAssembly): Statement[] {
  return stacks.flatMap((stack) => stack.resources.flatMap((resource) => statementsIn(stack, resource)));
}

/** The statements of one resource's documents. */
export function statementsIn(stack: CheckedStack, resource: CheckedResource): Statement[] {
  return documentsIn(resource.properties).flatMap(({ name, document }) =>
    listAt(document, 'Statement').map((statement) => ({
      stack,
      resource,
      ofIdentity: ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'].includes(resource.type),
      ofTrust: name === 'AssumeRolePolicyDocument',
      isNegated: ['NotAction', 'NotResource', 'NotPrincipal'].some((name) => at(statement, name) !== undefined),
      effect: textAt(statement, 'Effect'),
      actions: [...textsAt(statement, 'Action'), ...textsAt(statement, 'NotAction')],
      resources: [...textsAt(statement, 'Resource'), ...textsAt(statement, 'NotResource')],
      principal: at(statement, 'Principal'),
      condition: objectAt(statement, 'Condition'),
    })),
  );
}

function documentsIn(value: unknown): { name: string; document: unknown }[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) =>
    DOCUMENTS.includes(name) ? [{ name, document: item }] : documentsIn(item),
  );
}

/** Policies and roles as which a resource acts: its role's own, and those attached by name. */
export function policiesOfRole(
  stack: CheckedStack,
  roleArn: string,
): { role: CheckedResource | undefined; statements: Statement[]; managed: string[] } {
  const role = stack.resources.find(
    (resource) => resource.type === 'AWS::IAM::Role' && roleArn.endsWith(`:role/${resource.name}`),
  );
  if (!role) return { role, statements: [], managed: [] };
  const attached = stack.resources.filter(
    ({ type, properties }) => type === 'AWS::IAM::Policy' && textsAt(properties, 'Roles').includes(role.ref),
  );
  return {
    role,
    statements: [role, ...attached]
      .flatMap((resource) => statementsIn(stack, resource))
      .filter(({ ofTrust }) => !ofTrust),
    managed: textsAt(role.properties, 'ManagedPolicyArns'),
  };
}
