import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ControlError, reasonOf } from './errors';

const Artifact = z.looseObject({
  type: z.string(),
  displayName: z.string().optional(),
  environment: z.string().optional(),
  dependencies: z.array(z.string()).default([]),
  properties: z.looseObject({}).default({}),
});
const Manifest = z.looseObject({ artifacts: z.record(z.string(), Artifact).default({}) });
const StackProperties = z.looseObject({ templateFile: z.string(), stackName: z.string() });
const NestedAssembly = z.looseObject({ directoryName: z.string() });

const Template = z.looseObject({
  Resources: z.record(
    z.string(),
    z.looseObject({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).default({}) }),
  ),
});

/** A resource of a synthesized template; its properties may hold intrinsic functions. */
export interface PlannedResource {
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** A stack of a synthesized app. */
export interface PlannedStack {
  /** Id in the cloud assembly. */
  readonly id: string;
  /** Path by which `cdk deploy` selects it, e.g. `prod/edge-eu-west-1`. */
  readonly path: string;
  readonly stackName: string;
  readonly account: string;
  readonly region: string;
  /** Ids of the stacks that must be deployed before it. */
  readonly dependencies: readonly string[];
  readonly resources: readonly PlannedResource[];
}

/**
 * The stacks of a cloud assembly, those of its stages included, as `cdk synth` writes it.
 * @throws ControlError when the directory holds none, or a stack has no concrete account and region.
 */
export function readPlannedStacks(directory: string): PlannedStack[] {
  const { artifacts } = parse(Manifest, join(directory, 'manifest.json'));
  return Object.entries(artifacts).flatMap(([id, artifact]) => {
    if (artifact.type === 'cdk:cloud-assembly') {
      return readPlannedStacks(join(directory, NestedAssembly.parse(artifact.properties).directoryName));
    }
    if (artifact.type !== 'aws:cloudformation:stack') return [];
    const { templateFile, stackName } = StackProperties.parse(artifact.properties);
    const isStack = (name: string) => artifacts[name]?.type === 'aws:cloudformation:stack';
    const { Resources } = parse(Template, join(directory, templateFile));
    return [
      {
        id,
        path: artifact.displayName ?? id,
        stackName,
        ...placeOf(id, artifact.environment),
        dependencies: artifact.dependencies.filter(isStack),
        resources: Object.values(Resources).map(({ Type, Properties }) => ({ type: Type, properties: Properties })),
      },
    ];
  });
}

function placeOf(id: string, environment: string | undefined): { account: string; region: string } {
  const [, account, region] = /^aws:\/\/(\d{12})\/([a-z0-9-]+)$/.exec(environment ?? '') ?? [];
  if (!account || !region) {
    throw new ControlError(`stack ${id}: environment ${environment ?? '(none)'} must be aws://<account>/<region>`);
  }
  return { account, region };
}

function parse<T>(schema: z.ZodType<T>, file: string): T {
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new ControlError(`${file} is no part of a cloud assembly: ${reasonOf(error)}`);
  }
}
