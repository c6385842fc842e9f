import { readAssembly, type Stack } from '../../local/engine/assembly';
import { Evaluator } from '../../local/engine/intrinsics';
import type { AssetLookup } from '../../local/engine/types';
import { attributeOf, nameOf, refOf } from './identities';
import { type JsonObject, textAt } from './json';

/** One resource with its intrinsic functions evaluated. */
export interface CheckedResource {
  readonly logicalId: string;
  readonly type: string;
  /** Name in AWS; the logical id where CloudFormation makes one up. */
  readonly name: string;
  /** What `Ref` gives: a name or an ARN, else `<logical id>`. */
  readonly ref: string;
  readonly properties: JsonObject;
  readonly dependsOn: readonly string[];
  /** Logical ids of the same stack that the properties refer to. */
  readonly refersTo: readonly string[];
  readonly deletionPolicy: string;
}

/** A value that a template takes from another stack. */
export interface StackReference {
  readonly kind: 'export' | 'output';
  readonly stack: string;
  readonly region: string;
  readonly name: string;
}

export interface CheckedStack {
  /** Artifact id in the assembly. */
  readonly id: string;
  readonly name: string;
  readonly account: string;
  readonly region: string;
  readonly resources: readonly CheckedResource[];
  /** Artifact ids of the stacks deployed before. */
  readonly dependencies: readonly string[];
  readonly assets: AssetLookup;
  readonly outputs: readonly string[];
  readonly exports: readonly string[];
  readonly takes: readonly StackReference[];
  /** Names of the secrets that dynamic references read. */
  readonly secrets: readonly string[];
  /** Functions and references that lead nowhere: the path and why. */
  readonly broken: readonly { readonly logicalId: string; readonly reason: string }[];
  readonly templateBytes: number;
}

/** The templates of one environment. */
export interface CheckedAssembly {
  readonly stacks: readonly CheckedStack[];
}

/** Reads and evaluates the cloud assembly in `directory`. @throws when there is none, or a template cannot be read. */
export function readCheckedAssembly(directory: string): CheckedAssembly {
  return evaluateAssembly(readAssembly(directory));
}

/** Evaluates templates that are already read. */
export function evaluateAssembly(stacks: readonly Stack[]): CheckedAssembly {
  return { stacks: stacks.map(evaluateStack) };
}

/** Every resource of a type, with its stack. */
export function resourcesOf(
  { stacks }: CheckedAssembly,
  ...types: readonly string[]
): { readonly stack: CheckedStack; readonly resource: CheckedResource }[] {
  return stacks.flatMap((stack) =>
    stack.resources.filter(({ type }) => types.includes(type)).map((resource) => ({ stack, resource })),
  );
}

/** The resource of a stack that `Ref` or an attribute of it stands for. */
export function resourceBehind(stack: CheckedStack, value: string): CheckedResource | undefined {
  const [, logicalId] = /^<([A-Za-z0-9]+)(?:\.[^>]*)?>$/.exec(value) ?? [];
  return stack.resources.find((resource) => resource.logicalId === logicalId || resource.ref === value);
}

function evaluateStack(stack: Stack): CheckedStack {
  const { template, account, region } = stack;
  const place = { account, region };
  const takes: StackReference[] = [];
  const secrets = new Set<string>();
  const raw = (logicalId: string) => {
    const definition = template.Resources[logicalId];
    return definition && { logicalId, type: definition.Type, properties: definition.Properties };
  };
  const take = (kind: StackReference['kind'], name: string, from: string, at: string): string => {
    takes.push({ kind, name, stack: from, region: at });
    return `<${from}:${name}>`;
  };
  const evaluator = new Evaluator({
    stackName: stack.stackName,
    stackId: `arn:aws:cloudformation:${region}:${account}:stack/${stack.stackName}/id`,
    account,
    region,
    template,
    ref: (logicalId) => {
      const resource = raw(logicalId);
      return resource && refOf(resource, place);
    },
    attribute: (logicalId, name) => {
      const resource = raw(logicalId);
      if (!resource) throw new Error(`there is no resource ${logicalId}`);
      return attributeOf(resource, name, place);
    },
    importValue: (name) => take('export', name, '', region),
    stackOutput: (from, at, name) => take('output', name, from, at),
    systemParameter: (name) => `<parameter ${name}>`,
    secret: (name) => {
      secrets.add(name);
      return `<secret ${name}>`;
    },
  });
  const broken: { logicalId: string; reason: string }[] = [];
  const attempt = <T>(logicalId: string, read: () => T, otherwise: T): T => {
    try {
      return read();
    } catch (error) {
      broken.push({ logicalId, reason: error instanceof Error ? error.message : String(error) });
      return otherwise;
    }
  };
  const exists = (condition: string | undefined) =>
    condition === undefined || evaluator.condition(condition, condition);
  const resources = Object.entries(template.Resources).flatMap(([logicalId, definition]): CheckedResource[] => {
    if (!attempt(logicalId, () => exists(definition.Condition), true)) return [];
    const source = { logicalId, type: definition.Type, properties: definition.Properties };
    const properties = attempt(logicalId, () => evaluator.value(definition.Properties, logicalId), {}) as JsonObject;
    return [
      {
        logicalId,
        type: definition.Type,
        name: nameOf(source, place),
        ref: refOf(source, place),
        properties,
        dependsOn: definition.DependsOn,
        refersTo: attempt(logicalId, () => [...evaluator.references(definition.Properties, logicalId)], []),
        deletionPolicy: textAt(definition, 'DeletionPolicy') || 'Delete',
      },
    ];
  });
  const outputs = Object.entries(template.Outputs);
  for (const [name, output] of outputs) attempt(name, () => evaluator.value(output.Value, name), undefined);
  return {
    id: stack.id,
    name: stack.stackName,
    account,
    region,
    resources,
    dependencies: stack.dependencies,
    assets: stack.assets,
    outputs: outputs.map(([name]) => name),
    exports: outputs.flatMap(([, output]) => (output.Export ? [String(output.Export.Name)] : [])),
    takes,
    secrets: [...secrets],
    broken,
    templateBytes: Buffer.byteLength(JSON.stringify(template)),
  };
}
