/** Value of `AWS::NoValue`: the property that holds it is left out. */
export const NO_VALUE = Symbol('AWS::NoValue');

/** The function call that an object of a template is, `undefined` when it is plain data. */
export function asCall(input: object): { name: string; argument: unknown } | undefined {
  const entries = Object.entries(input);
  const [entry] = entries;
  if (!entry || entries.length !== 1) return undefined;
  const [name, argument] = entry;
  // A policy statement's `Condition` holds operators; a reference to a condition holds its name.
  const isCall = name === 'Ref' || name.startsWith('Fn::') || (name === 'Condition' && typeof argument === 'string');
  return isCall ? { name, argument } : undefined;
}

/** Text and variables of an `Fn::Sub` argument. */
export function substitution(argument: unknown, path: string): { text: string; variables: Record<string, unknown> } {
  const [text, variables = {}] = typeof argument === 'string' ? [argument] : asList(argument, path, 2);
  if (typeof variables !== 'object' || variables === null)
    throw new Error(`${path}: the second item must map variables`);
  return { text: asText(text, path), variables: { ...variables } };
}

/** Names that a text of `Fn::Sub` asks for; `${!Literal}` is none. */
export function placeholders(text: string): string[] {
  return [...text.matchAll(/\$\{([^}!][^}]*)\}/g)].map(([, name = '']) => name.trim());
}

/** The value when it is a string; throws otherwise. */
export function asText(value: unknown, path: string): string {
  if (typeof value !== 'string') throw new Error(`${path}: ${JSON.stringify(value)} must be a string`);
  return value;
}

/** A string, number or boolean as text; throws on anything else. */
export function asScalarText(value: unknown, path: string): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new Error(`${path}: ${value === NO_VALUE ? 'AWS::NoValue' : JSON.stringify(value)} cannot be used as a string`);
}

/** The value when it is a list (of `length`); throws otherwise. */
export function asList(value: unknown, path: string, length?: number): unknown[] {
  if (!Array.isArray(value) || (length !== undefined && value.length !== length)) {
    throw new Error(`${path}: ${JSON.stringify(value)} must be a list${length === undefined ? '' : ` of ${length}`}`);
  }
  return value;
}

/** Runs `produce`; an error of it gets the path in front. */
export function located<T>(path: string, produce: () => T): T {
  try {
    return produce();
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
