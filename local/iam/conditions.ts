import { matchesArn, matchesWildcard } from './wildcards';

/** `Condition` of a statement: operator -> key -> values, any of which may match. */
export type Conditions = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/** Values of a request's condition keys; names in lower case, because IAM ignores case. */
export type RequestContext = Readonly<Record<string, string>>;

type Comparison = (actual: string, expected: string) => boolean;

const equals: Comparison = (actual, expected) => actual === expected;
const like: Comparison = (actual, expected) => matchesWildcard(expected, actual);
const arn: Comparison = (actual, expected) => matchesArn(expected, actual);
const numeric =
  (compare: (a: number, b: number) => boolean): Comparison =>
  (actual, expected) =>
    compare(Number(actual), Number(expected));

/** Operators that hold when some value compares. Source: IAM User Guide, "Condition operators". */
const POSITIVE: Readonly<Record<string, Comparison>> = {
  StringEquals: equals,
  StringEqualsIgnoreCase: (actual, expected) => actual.toLowerCase() === expected.toLowerCase(),
  StringLike: like,
  ArnEquals: arn,
  ArnLike: arn,
  Bool: (actual, expected) => actual === expected.toLowerCase(),
  NumericEquals: numeric((a, b) => a === b),
  NumericLessThan: numeric((a, b) => a < b),
  NumericLessThanEquals: numeric((a, b) => a <= b),
  NumericGreaterThan: numeric((a, b) => a > b),
  NumericGreaterThanEquals: numeric((a, b) => a >= b),
};

/** Operators that hold when no value compares, and when the request does not have the key. */
const NEGATED: Readonly<Record<string, Comparison>> = {
  StringNotEquals: equals,
  StringNotLike: like,
  ArnNotEquals: arn,
  ArnNotLike: arn,
};

const OPERATORS = [...Object.keys(POSITIVE), ...Object.keys(NEGATED)];

/** Keys that the stand-ins give a value, of every request or of those that have one. */
const KEYS = [
  'aws:PrincipalAccount',
  'aws:PrincipalArn',
  'aws:RequestedRegion',
  'aws:SecureTransport',
  'aws:SourceAccount',
  'aws:SourceArn',
  's3:TlsVersion',
];
const KNOWN_KEYS = new Set(KEYS.map((key) => key.toLowerCase()));

/** What of the conditions could not be evaluated, named; `undefined` when all can. */
export function unknownCondition(conditions: Conditions): string | undefined {
  for (const [operator, keys] of Object.entries(conditions)) {
    if (!OPERATORS.includes(baseOperator(operator))) {
      return `the condition operator ${operator}; understood are ${OPERATORS.join(', ')}, each with IfExists too`;
    }
    for (const key of Object.keys(keys)) {
      if (!KNOWN_KEYS.has(key.toLowerCase())) return `the condition key ${key}; understood are ${KEYS.join(', ')}`;
    }
  }
  return undefined;
}

/** Whether every condition holds. */
export function conditionsHold(conditions: Conditions, context: RequestContext): boolean {
  return Object.entries(conditions).every(([operator, keys]) =>
    Object.entries(keys).every(([key, values]) => holds(operator, values, context[key.toLowerCase()])),
  );
}

function holds(operator: string, values: readonly string[], actual: string | undefined): boolean {
  const base = baseOperator(operator);
  const negated = NEGATED[base];
  if (actual === undefined) return negated !== undefined || base !== operator;
  const compare = negated ?? POSITIVE[base];
  if (!compare) throw new Error(`the condition operator ${operator} was not refused when its policy was read`);
  return values.some((value) => compare(actual, value)) === (negated === undefined);
}

function baseOperator(operator: string): string {
  return operator.replace(/IfExists$/, '');
}
