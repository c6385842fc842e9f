import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface StackSource {
  readonly region?: string;
  readonly stackName?: string;
  readonly dependencies?: readonly string[];
  readonly template: object;
  /** Object key -> staged directory. */
  readonly files?: Readonly<Record<string, string>>;
  /** Image tag -> build context. */
  readonly images?: Readonly<Record<string, string>>;
}

export const ACCOUNT = '000000000000';

/** Writes a cloud assembly with one stage, as `cdk synth` lays it out, and gives its directory. */
export function writeAssembly(parent: string, stacks: Readonly<Record<string, StackSource>>): string {
  const root = mkdtempSync(join(parent, 'assembly-'));
  const stage = join(root, 'assembly-Stage');
  mkdirSync(stage);
  const artifacts: Record<string, object> = {};
  for (const [id, source] of Object.entries(stacks)) {
    writeFileSync(join(stage, `${id}.template.json`), JSON.stringify(source.template));
    writeFileSync(join(stage, `${id}.assets.json`), JSON.stringify(assetManifest(source)));
    artifacts[`${id}.assets`] = { type: 'cdk:asset-manifest', properties: { file: `${id}.assets.json` } };
    artifacts[id] = {
      type: 'aws:cloudformation:stack',
      environment: `aws://${ACCOUNT}/${source.region ?? 'us-east-1'}`,
      dependencies: [...(source.dependencies ?? []), `${id}.assets`],
      properties: {
        templateFile: `${id}.template.json`,
        stackName: source.stackName ?? id,
        requiresBootstrapStackVersion: 6,
        bootstrapStackVersionSsmParameter: '/cdk-bootstrap/x/version',
      },
    };
  }
  writeFileSync(join(stage, 'manifest.json'), JSON.stringify({ version: '55.0.0', artifacts }));
  const nested = { type: 'cdk:cloud-assembly', properties: { directoryName: 'assembly-Stage' } };
  const tree = { type: 'cdk:tree', properties: { file: 'tree.json' } };
  writeFileSync(
    join(root, 'manifest.json'),
    JSON.stringify({ version: '55.0.0', artifacts: { 'assembly-Stage': nested, Tree: tree } }),
  );
  return root;
}

function assetManifest({ files = {}, images = {} }: StackSource): object {
  const entries = Object.entries(files).map(([objectKey, path]) => [
    objectKey,
    { source: { path, packaging: 'zip' }, destinations: { here: { bucketName: 'assets', objectKey } } },
  ]);
  const imageEntries = Object.entries(images).map(([imageTag, directory]) => [
    imageTag,
    { source: { directory }, destinations: { here: { repositoryName: 'images', imageTag } } },
  ]);
  return { version: '55.0.0', files: Object.fromEntries(entries), dockerImages: Object.fromEntries(imageEntries) };
}
