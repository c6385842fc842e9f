import { createHash } from 'node:crypto';

/** What a mutant lacks. */
export type MutantKind = 'iam' | 'security-group' | 'subscription' | 'permission' | 'environment';

export const MUTANT_KINDS: readonly MutantKind[] = [
  'iam',
  'security-group',
  'subscription',
  'permission',
  'environment',
];

/** A template of an assembly, as JSON. */
export interface SourceTemplate {
  /** Path below the assembly's directory. */
  readonly file: string;
  readonly stackName: string;
  readonly content: TemplateJson;
}

interface ResourceJson {
  readonly Type: string;
  readonly Properties?: Record<string, unknown>;
  readonly DependsOn?: string | string[];
}

export interface TemplateJson {
  readonly Resources: Readonly<Record<string, ResourceJson>>;
}

/** One template without one thing. */
export interface Mutant {
  /** Stable over runs as long as the templates are. */
  readonly id: string;
  readonly kind: MutantKind;
  readonly stackName: string;
  /** What is gone, for people. */
  readonly gone: string;
  readonly file: string;
  readonly content: TemplateJson;
}

type Path = readonly (string | number)[];

interface Removal {
  readonly kind: MutantKind;
  readonly gone: string;
  /** Below `Resources`; a resource itself or a part of its properties. */
  readonly path: Path;
}

const SEPARATE_RESOURCES: Readonly<Record<string, MutantKind>> = {
  'AWS::EC2::SecurityGroupEgress': 'security-group',
  'AWS::EC2::SecurityGroupIngress': 'security-group',
  'AWS::Lambda::Permission': 'permission',
  'AWS::SNS::Subscription': 'subscription',
};

/** Properties that hold a policy document, in resources of any type. */
const DOCUMENT = 'PolicyDocument';

/**
 * Every template without one IAM action (or statement, where it has one action), managed policy, security-group rule,
 * subscription, permission or environment variable. Regions have the same stack: each thing is taken from one of them.
 */
export function mutantsOf(templates: readonly SourceTemplate[], regions: readonly string[]): Mutant[] {
  const seen = new Set<string>();
  return templates.flatMap(({ file, stackName, content }) =>
    removals(content).flatMap(({ kind, gone, path }) => {
      const shape = regionless(`${stackName} ${path.join('/')} ${gone}`, regions);
      if (seen.has(shape)) return [];
      seen.add(shape);
      const id = createHash('sha256')
        .update(`${stackName} ${path.join('/')}`)
        .digest('hex')
        .slice(0, 8);
      return [{ id, kind, stackName, gone, file, content: without(content, path) }];
    }),
  );
}

function regionless(text: string, regions: readonly string[]): string {
  const spellings = regions.flatMap((region) => [region, region.replaceAll('-', '')]);
  // Logical ids end in a hash over their path, which has the region's name in it.
  return spellings
    .reduce((shape, spelling) => shape.replaceAll(spelling, '*'), text)
    .replace(/pl-?[0-9a-f]{8}/g, 'pl')
    .replace(/[0-9A-F]{8,}/g, '#');
}

function removals({ Resources }: TemplateJson): Removal[] {
  return Object.entries(Resources).flatMap(([logicalId, { Type, Properties = {} }]): Removal[] => {
    const kind = SEPARATE_RESOURCES[Type];
    if (kind) return [{ kind, gone: `${Type.slice('AWS::'.length)} ${logicalId}`, path: [logicalId] }];
    const at = (path: Path, what: string, of: MutantKind): Removal => ({
      kind: of,
      gone: `${what} of ${logicalId}`,
      path: [logicalId, 'Properties', ...path],
    });
    return [
      ...statements(Properties, []).map(({ path, what }) => at(path, what, 'iam')),
      ...items(Properties.ManagedPolicyArns).map((index) => at(['ManagedPolicyArns', index], 'managed policy', 'iam')),
      ...(['SecurityGroupIngress', 'SecurityGroupEgress'] as const).flatMap((list) =>
        Type === 'AWS::EC2::SecurityGroup'
          ? items(Properties[list]).map((index) => at([list, index], `${list}[${index}]`, 'security-group'))
          : [],
      ),
      ...variables(Type, Properties).map(({ path, what }) => at(path, what, 'environment')),
    ];
  });
}

/** Actions of every policy document; a statement with one action goes as a whole. */
function statements(value: unknown, path: Path): { path: Path; what: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) => {
    const key = Array.isArray(value) ? Number(name) : name;
    if (name !== DOCUMENT) return statements(item, [...path, key]);
    const list = (item as { Statement?: unknown }).Statement;
    return items(list).flatMap((index) => {
      const { Effect, Action } = (list as { Effect: string; Action: string | string[] }[])[index] ?? {};
      const where = [...path, name, 'Statement', index];
      if (!Array.isArray(Action) || Action.length === 1) return [{ path: where, what: `${Effect} ${Action}` }];
      return Action.map((action, at) => ({ path: [...where, 'Action', at], what: `${Effect} ${action}` }));
    });
  });
}

function variables(type: string, properties: Record<string, unknown>): { path: Path; what: string }[] {
  if (type === 'AWS::Lambda::Function') {
    const { Variables = {} } = (properties.Environment ?? {}) as { Variables?: Record<string, unknown> };
    return Object.keys(Variables).map((name) => ({ path: ['Environment', 'Variables', name], what: name }));
  }
  if (type !== 'AWS::ECS::TaskDefinition') return [];
  const containers = properties.ContainerDefinitions as { Environment?: { Name: string }[] }[];
  return containers.flatMap(({ Environment = [] }, container) =>
    Environment.map(({ Name }, index) => ({
      path: ['ContainerDefinitions', container, 'Environment', index],
      what: Name,
    })),
  );
}

function items(list: unknown): number[] {
  return Array.isArray(list) ? list.map((_, index) => index) : [];
}

function without(template: TemplateJson, path: Path): TemplateJson {
  const copy = structuredClone(template);
  let parent = copy.Resources as unknown as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) parent = parent[step] as Record<string | number, unknown>;
  const last = path.at(-1) ?? '';
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  if (path.length === 1) forgetDependency(copy, String(last));
  return copy;
}

function forgetDependency({ Resources }: TemplateJson, logicalId: string): void {
  for (const resource of Object.values(Resources) as { DependsOn?: string | string[] }[]) {
    if (resource.DependsOn === undefined) continue;
    resource.DependsOn = [resource.DependsOn].flat().filter((id) => id !== logicalId);
  }
}
