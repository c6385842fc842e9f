import { z } from 'zod';
import { type Conditions, unknownCondition } from './conditions';

const oneOrMany = z
  .union([z.string(), z.array(z.string()).min(1)])
  .transform((value) => (Array.isArray(value) ? value : [value]));
const conditionValue = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const conditionValues = z
  .union([conditionValue, z.array(conditionValue)])
  .transform((value) => (Array.isArray(value) ? value : [value]));

/** Strict: an element that is left out, such as NotPrincipal, would make the statement mean something else. */
const Statement = z
  .strictObject({
    Sid: z.string().optional(),
    Effect: z.enum(['Allow', 'Deny']),
    Principal: z.union([z.literal('*'), z.record(z.string(), oneOrMany)]).optional(),
    Action: oneOrMany.optional(),
    NotAction: oneOrMany.optional(),
    Resource: oneOrMany.optional(),
    NotResource: oneOrMany.optional(),
    Condition: z.record(z.string(), z.record(z.string(), conditionValues)).optional(),
  })
  .refine(({ Action, NotAction }) => (Action === undefined) !== (NotAction === undefined), {
    error: 'needs either Action or NotAction',
  });

const Document = z.strictObject({
  // The versions differ in policy variables alone, which are refused.
  Version: z.enum(['2012-10-17', '2008-10-17']).optional(),
  Id: z.string().optional(),
  Statement: z.union([Statement, z.array(Statement)]).transform((one) => (Array.isArray(one) ? one : [one])),
});

/** What a policy is attached to: an identity, a resource, or a role as the answer to who may assume it. */
export type PolicyKind = 'identity' | 'resource' | 'trust';

/** One statement, checked and ready to be evaluated. */
export interface PolicyStatement {
  readonly effect: 'Allow' | 'Deny';
  /** `undefined` in identity policies, whose principal is the identity. */
  readonly principal: '*' | Readonly<Record<string, readonly string[]>> | undefined;
  /** Patterns, in lower case; `negated` is NotAction. */
  readonly actions: { readonly patterns: readonly string[]; readonly negated: boolean };
  /** `undefined` in trust policies, whose resource is the role. */
  readonly resources: { readonly patterns: readonly string[]; readonly negated: boolean } | undefined;
  readonly conditions: Conditions;
}

export type Policy = readonly PolicyStatement[];

const PRINCIPAL_KINDS = ['AWS', 'Service'];

/**
 * Reads a policy document whose intrinsic functions are evaluated.
 *
 * @param where names the document in errors.
 * @throws on whatever could not be evaluated later: unknown elements, operators, condition keys, policy variables.
 */
export function parsePolicy(document: unknown, kind: PolicyKind, where: string): Policy {
  const parsed = Document.safeParse(document);
  if (!parsed.success) throw new Error(`${where} is not a policy that can be read:\n${z.prettifyError(parsed.error)}`);
  return parsed.data.Statement.map((statement, index) => {
    const name = `${where}, statement ${statement.Sid ?? index + 1}`;
    const reason = misplaced(statement, kind) ?? notUnderstood(statement);
    if (reason) throw new Error(`${name}: ${reason}`);
    return {
      effect: statement.Effect,
      principal: statement.Principal,
      actions: {
        patterns: (statement.Action ?? statement.NotAction ?? []).map((action) => action.toLowerCase()),
        negated: statement.NotAction !== undefined,
      },
      resources: resourcesOf(statement),
      conditions: statement.Condition ?? {},
    };
  });
}

function resourcesOf({ Resource, NotResource }: z.infer<typeof Statement>): PolicyStatement['resources'] {
  const patterns = Resource ?? NotResource;
  return patterns && { patterns, negated: NotResource !== undefined };
}

function misplaced(statement: z.infer<typeof Statement>, kind: PolicyKind): string | undefined {
  const { Principal, Resource, NotResource } = statement;
  if (kind === 'identity' && Principal !== undefined) return 'a policy of an identity has no Principal';
  if (kind !== 'identity' && Principal === undefined) return 'Principal is missing';
  const resources = [Resource, NotResource].filter((list) => list !== undefined).length;
  if (kind === 'trust') return resources === 0 ? undefined : 'a trust policy has no Resource';
  return resources === 1 ? undefined : 'needs either Resource or NotResource';
}

function notUnderstood(statement: z.infer<typeof Statement>): string | undefined {
  const { Principal, Condition = {} } = statement;
  const kinds = typeof Principal === 'object' ? Object.keys(Principal) : [];
  const odd = kinds.find((kind) => !PRINCIPAL_KINDS.includes(kind));
  if (odd) return `the principal kind ${odd} is not understood here; understood are ${PRINCIPAL_KINDS.join(', ')}`;
  const variable = /\$\{[^}]*\}/.exec(JSON.stringify([statement.Resource, statement.NotResource, Condition]))?.[0];
  if (variable) return `the policy variable ${variable} is not understood here`;
  const condition = unknownCondition(Condition);
  return condition && `not understood here: ${condition}`;
}
