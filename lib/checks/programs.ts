import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CheckedAssembly, CheckedResource, CheckedStack } from './assembly';
import { listAt, objectAt, textAt } from './json';

/** A program that the templates run: its code as deployed, its environment, its role. */
export interface Program {
  readonly stack: CheckedStack;
  /** The function, or the task definition. */
  readonly resource: CheckedResource;
  readonly kind: 'function' | 'task';
  /** Directory of the staged code, or of the image's build context. */
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly roleArn: string;
}

/** Every Lambda function and every container. @throws when its code is not in the assembly. */
export function programsOf({ stacks }: CheckedAssembly): Program[] {
  return stacks.flatMap((stack) =>
    stack.resources.flatMap((resource): Program[] => {
      if (resource.type === 'AWS::Lambda::Function') return [functionProgram(stack, resource)];
      if (resource.type === 'AWS::ECS::TaskDefinition') return taskPrograms(stack, resource);
      return [];
    }),
  );
}

function functionProgram(stack: CheckedStack, resource: CheckedResource): Program {
  const variables = objectAt(resource.properties, 'Environment', 'Variables');
  return {
    stack,
    resource,
    kind: 'function',
    directory: stack.assets.fileByObjectKey(textAt(resource.properties, 'Code', 'S3Key')),
    environment: Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, String(value)])),
    roleArn: textAt(resource.properties, 'Role'),
  };
}

function taskPrograms(stack: CheckedStack, resource: CheckedResource): Program[] {
  return listAt(resource.properties, 'ContainerDefinitions').map((container) => ({
    stack,
    resource,
    kind: 'task',
    directory: stack.assets.imageDirectoryByTag(textAt(container, 'Image').split(':').at(-1) ?? ''),
    environment: Object.fromEntries(
      listAt(container, 'Environment').map((variable) => [textAt(variable, 'Name'), textAt(variable, 'Value')]),
    ),
    roleArn: textAt(resource.properties, 'TaskRoleArn'),
  }));
}

/** Code of a program that is the project's own, without what it is bundled with. */
const ownCode = new Map<string, string>();

/**
 * The project's own part of a program's bundles: the sections that esbuild heads by `// path of the source`, without those
 * of `node_modules`. What tree shaking removed is not there, so what is left can run.
 */
export function ownCodeOf(directory: string): string {
  const known = ownCode.get(directory);
  if (known !== undefined) return known;
  const bundles = readdirSync(directory).filter((file) => file.endsWith('.js'));
  const code = bundles.map((file) => withoutDependencies(readFileSync(join(directory, file), 'utf8'))).join('\n');
  ownCode.set(directory, code);
  return code;
}

function withoutDependencies(bundle: string): string {
  let isOwn = false;
  const lines = bundle.split('\n').filter((line) => {
    const [, source] = /^\/\/ (\S+\.[cm]?[jt]s(?:on)?)$/.exec(line) ?? [];
    if (source) isOwn = !source.includes('node_modules/');
    return isOwn;
  });
  return lines.join('\n');
}

const sdkCalls = new Map<string, readonly string[]>();

/** Calls of the AWS SDK in a program's own code: commands and paginators by name. */
export function sdkCallsOf({ directory }: Program): readonly string[] {
  const calls = sdkCalls.get(directory) ?? callsIn(ownCodeOf(directory));
  sdkCalls.set(directory, calls);
  return calls;
}

function callsIn(code: string): string[] {
  const commands = [...code.matchAll(/\bnew (?:[\w$]+\.)?([A-Z]\w*Command)\d*\(/g)];
  const helpers = [
    ...code.matchAll(/\bimport_(?:client|lib)_\w+\.((?:paginate|waitUntil)[A-Z]\w*|Upload|getSignedUrl)\b/g),
  ];
  return [...new Set([...commands, ...helpers].map(([, name = '']) => name))].sort();
}

const bundledPackages = new Map<string, ReadonlySet<string>>();

/** Whether a package of npm is in a program's bundles. */
export function bundles({ directory }: Program, name: string): boolean {
  const packages = bundledPackages.get(directory) ?? packagesIn(directory);
  bundledPackages.set(directory, packages);
  return packages.has(name);
}

/** Names of the packages whose files esbuild heads by `// node_modules/<name>/<path>`. */
function packagesIn(directory: string): ReadonlySet<string> {
  const texts = readdirSync(directory)
    .filter((file) => file.endsWith('.js'))
    .map((file) => readFileSync(join(directory, file), 'utf8'));
  const heads = texts.flatMap((text) => [...text.matchAll(/\/\/ node_modules\/((?:@[^/\s]+\/)?[^/\s]+)\//g)]);
  return new Set(heads.map(([, name = '']) => name));
}

/** Whether a program logs in to Valkey by IAM. */
export function connectsToCache({ environment }: Program): boolean {
  return environment.REDIS_IAM_USER !== undefined;
}

/** Whether a task asks the ECS agent for protection from scale-in, which calls ECS as the task's role. */
export function protectsItself({ kind, directory }: Program): boolean {
  return kind === 'task' && ownCodeOf(directory).includes('/task-protection/v1/state');
}
