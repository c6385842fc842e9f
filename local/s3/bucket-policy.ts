import { z } from 'zod';

const oneOrMany = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (Array.isArray(value) ? value : [value]));
const conditionValue = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const conditionValues = z
  .union([conditionValue, z.array(conditionValue)])
  .transform((value) => (Array.isArray(value) ? value : [value]));

/** Strict: NotAction, NotResource and NotPrincipal would be misread if they were left out. */
const statementSchema = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Principal: z.union([z.literal('*'), z.record(z.string(), oneOrMany)]),
  Action: oneOrMany,
  Resource: oneOrMany,
  Condition: z.record(z.string(), z.record(z.string(), conditionValues)).optional(),
});
type Statement = z.infer<typeof statementSchema>;

const policySchema = z.strictObject({
  Version: z.string().optional(),
  Id: z.string().optional(),
  Statement: z
    .union([statementSchema, z.array(statementSchema)])
    .transform((one) => (Array.isArray(one) ? one : [one])),
});

/** A request as a policy sees it. */
export interface PolicyRequest {
  /** E.g. `s3:GetObject`. */
  readonly action: string;
  readonly resource: string;
  readonly distributionArn: string;
}

const CLOUDFRONT = 'cloudfront.amazonaws.com';

type ConditionOperator = (actual: string, expected: string) => boolean;

/** IAM's operators that bucket policies for CloudFront use. Source: IAM User Guide, "Condition operators". */
const CONDITION_OPERATORS: Readonly<Record<string, ConditionOperator>> = {
  StringEquals: (actual, expected) => actual === expected,
  StringLike: (actual, expected) => wildcard(expected).test(actual),
  ArnEquals: (actual, expected) => arnMatches(actual, expected),
  ArnLike: (actual, expected) => arnMatches(actual, expected),
  Bool: (actual, expected) => actual === expected.toLowerCase(),
  NumericLessThan: (actual, expected) => Number(actual) < Number(expected),
};

/** Condition keys of a request that CloudFront signs; it speaks TLS 1.3 to S3. Names in lower case: IAM ignores case. */
const CONDITION_KEYS: Readonly<Record<string, (request: PolicyRequest) => string>> = {
  'aws:sourcearn': (request) => request.distributionArn,
  'aws:sourceaccount': (request) => request.distributionArn.split(':')[4] ?? '',
  'aws:securetransport': () => 'true',
  's3:tlsversion': () => '1.3',
};

/** A bucket policy, as far as it speaks of the CloudFront service. */
export class BucketPolicy {
  private constructor(private readonly statements: readonly Statement[]) {}

  /** Reads a policy document; refuses by name what it could not evaluate, instead of guessing an answer later. */
  static parse(document: unknown): BucketPolicy {
    const parsed = policySchema.safeParse(document);
    if (!parsed.success)
      throw new Error(`The bucket policy is not one that can be read:\n${z.prettifyError(parsed.error)}`);
    const statements = parsed.data.Statement.filter(speaksOfCloudFront);
    for (const statement of statements) requireKnownConditions(statement);
    return new BucketPolicy(statements);
  }

  /** Whether CloudFront may do this: some statement allows it and none denies it. */
  allows(request: PolicyRequest): boolean {
    const effects = this.statements.filter((statement) => applies(statement, request)).map(({ Effect }) => Effect);
    return effects.includes('Allow') && !effects.includes('Deny');
  }
}

/** `*` and `{"AWS": "*"}` are everyone, services included. */
function speaksOfCloudFront({ Principal }: Statement): boolean {
  if (Principal === '*') return true;
  return Boolean(Principal.AWS?.includes('*') || Principal.Service?.includes(CLOUDFRONT));
}

function requireKnownConditions(statement: Statement): void {
  for (const [operator, conditions] of Object.entries(statement.Condition ?? {})) {
    if (!(operator in CONDITION_OPERATORS))
      throw unknownCondition(statement, 'operator', operator, CONDITION_OPERATORS);
    for (const key of Object.keys(conditions)) {
      if (!(key.toLowerCase() in CONDITION_KEYS)) throw unknownCondition(statement, 'key', key, CONDITION_KEYS);
    }
  }
}

function unknownCondition(statement: Statement, what: string, name: string, known: object): Error {
  return new Error(
    `The bucket policy's statement ${statement.Sid ?? `"${statement.Effect} ${statement.Action}"`} has the condition ${what} ${name}; the local S3 understands ${Object.keys(known).join(', ')}.`,
  );
}

function applies(statement: Statement, request: PolicyRequest): boolean {
  return (
    statement.Action.some((action) => wildcard(action.toLowerCase()).test(request.action.toLowerCase())) &&
    statement.Resource.some((resource) => wildcard(resource).test(request.resource)) &&
    Object.entries(statement.Condition ?? {}).every(([operator, conditions]) =>
      Object.entries(conditions).every(([key, expected]) => conditionHolds(operator, key, expected, request)),
    )
  );
}

/** Values of one key are alternatives. */
function conditionHolds(operator: string, key: string, expected: readonly string[], request: PolicyRequest): boolean {
  const actual = CONDITION_KEYS[key.toLowerCase()]?.(request) ?? '';
  return expected.some((value) => CONDITION_OPERATORS[operator]?.(actual, value));
}

/** ARNs match part by part: a `*` does not reach over the first five colons. */
function arnMatches(actual: string, pattern: string): boolean {
  const actualParts = splitArn(actual);
  const patternParts = splitArn(pattern);
  return (
    actualParts.length === patternParts.length &&
    patternParts.every((part, index) => wildcard(part).test(actualParts[index] ?? ''))
  );
}

function splitArn(arn: string): string[] {
  const parts = arn.split(':');
  return [...parts.slice(0, 5), parts.slice(5).join(':')];
}

function wildcard(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's');
}
