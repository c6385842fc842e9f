import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { readAssets } from './assets';
import { Template } from './template';
import type { AssetLookup } from './types';

const Artifact = z.looseObject({
  type: z.string(),
  environment: z.string().optional(),
  dependencies: z.array(z.string()).default([]),
  properties: z.looseObject({}).default({}),
});

const Manifest = z.looseObject({ version: z.string(), artifacts: z.record(z.string(), Artifact).default({}) });

const StackProperties = z.looseObject({
  templateFile: z.string(),
  stackName: z.string().optional(),
  requiresBootstrapStackVersion: z.number().optional(),
  bootstrapStackVersionSsmParameter: z.string().optional(),
});

/** One stack of the cloud assembly, ready to be evaluated. */
export interface Stack {
  /** Artifact id, unique in the assembly. */
  readonly id: string;
  readonly stackName: string;
  readonly account: string;
  readonly region: string;
  readonly template: Template;
  readonly assets: AssetLookup;
  /** Artifact ids of the stacks that must be complete before this one starts. */
  readonly dependencies: readonly string[];
  /** Systems Manager parameters that deploying implies: the bootstrap version the stack asks for. */
  readonly systemParameters: ReadonlyMap<string, string>;
}

/**
 * Reads every stack of a cloud assembly, those of nested Stage assemblies included.
 * Format: the cloud assembly schema that `cdk synth` writes (`manifest.json`, `aws:cloudformation:stack`,
 * `cdk:cloud-assembly`, `cdk:asset-manifest` artifacts).
 *
 * @throws when the directory holds no assembly, a stack has no concrete account and region, or a template has a
 *   section the runner gives no meaning.
 */
export function readAssembly(directory: string): Stack[] {
  const manifest = Manifest.parse(readJson(join(directory, 'manifest.json')));
  const stacks: Stack[] = [];
  for (const [id, artifact] of Object.entries(manifest.artifacts)) {
    if (artifact.type === 'aws:cloudformation:stack') {
      stacks.push(readStack(directory, id, artifact, manifest.artifacts));
    } else if (artifact.type === 'cdk:cloud-assembly') {
      const { directoryName } = z.looseObject({ directoryName: z.string() }).parse(artifact.properties);
      stacks.push(...readAssembly(join(directory, directoryName)));
    }
  }
  return stacks;
}

function readStack(
  directory: string,
  id: string,
  artifact: z.infer<typeof Artifact>,
  siblings: Readonly<Record<string, z.infer<typeof Artifact>>>,
): Stack {
  const properties = StackProperties.parse(artifact.properties);
  const { account, region } = parseEnvironment(id, artifact.environment);
  const templateFile = join(directory, properties.templateFile);
  const template = Template.safeParse(readJson(templateFile));
  if (!template.success) throw new Error(`${templateFile}: ${z.prettifyError(template.error)}`);
  const ofType = (type: string) => artifact.dependencies.filter((name) => siblings[name]?.type === type);
  const assetFiles = ofType('cdk:asset-manifest').map((name) => {
    const { file } = z.looseObject({ file: z.string() }).parse(siblings[name]?.properties);
    return join(directory, file);
  });
  const parameter = properties.bootstrapStackVersionSsmParameter;
  return {
    id,
    stackName: properties.stackName ?? id,
    account,
    region,
    template: template.data,
    assets: readAssets(assetFiles),
    dependencies: ofType('aws:cloudformation:stack'),
    systemParameters: new Map(parameter ? [[parameter, String(properties.requiresBootstrapStackVersion)]] : []),
  };
}

function parseEnvironment(id: string, environment: string | undefined): { account: string; region: string } {
  const match = /^aws:\/\/(\d{12})\/([a-z0-9-]+)$/.exec(environment ?? '');
  const [, account, region] = match ?? [];
  if (!account || !region || region === 'unknown-region') {
    throw new Error(`stack ${id}: environment ${environment ?? '(none)'} must be aws://<12-digit account>/<region>`);
  }
  return { account, region };
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${resolve(dirname(file))} is not a readable cloud assembly: ${reason}`);
  }
}
