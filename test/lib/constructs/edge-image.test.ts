import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { buildEdgeImageContext, EdgeImage } from '../../../lib/constructs/edge-image';
import { baseImage } from '../../../scripts/image/base-image';
import type { ContainerDefinition } from '../../support/container';
import { SynthesizedEnvironment } from '../../support/synthesis';

let context: string[];
let dockerfile: string;

beforeAll(() => {
  const outdir = mkdtempSync(join(tmpdir(), 'mlcdn-image-'));
  const app = new App({ outdir });
  new EdgeImage(new Stack(app, 'Stack'), 'Image', buildEdgeImageContext());
  const [asset = ''] = readdirSync(outdir).filter((name) => name.startsWith('asset.'));
  context = readdirSync(join(outdir, asset));
  dockerfile = readFileSync(join(outdir, asset, 'Dockerfile'), 'utf8');
  rmSync(outdir, { recursive: true });
});

/** Arguments of an instruction in the last stage. */
function lastStage(instruction: string): string[] {
  const stage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
  return [...stage.matchAll(new RegExp(`^${instruction} (.*)$`, 'gm'))].map(([, argument = '']) => argument);
}

test('the build context that is uploaded holds every file that the Dockerfile copies from it', () => {
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, files = '']) => files.split(' '));
  expect(copied).toEqual(expect.arrayContaining(['server.js', 'worker.js', 'package.json', 'package-lock.json']));
  expect(context).toEqual(expect.arrayContaining(copied));
});

test('the image is built in an exact version, and its last stage only copies: nothing runs and nothing is fetched', () => {
  expect(() => baseImage(dockerfile)).not.toThrow();
  expect(lastStage('FROM')).toEqual(['scratch']);
  expect(lastStage('(?:RUN|ADD)')).toEqual([]);
  expect(lastStage('COPY').filter((argument) => !argument.startsWith('--from=build '))).toEqual([]);
});

test.each(['dev', 'prod'])('image and task definition of %s agree on user, port and volumes', (environment) => {
  const synthesized = new SynthesizedEnvironment(environment);
  const template = synthesized.template('edge-us-east-1');
  const [task] = Object.values(template.findResources('AWS::ECS::TaskDefinition'));
  const container = task?.Properties.ContainerDefinitions[0] as ContainerDefinition & {
    Command?: unknown;
    EntryPoint?: unknown;
  };
  expect(lastStage('USER')).toEqual([container.User]);
  expect(lastStage('EXPOSE')).toEqual(container.PortMappings.map(({ ContainerPort }) => String(ContainerPort)));
  const volumes = JSON.parse(lastStage('VOLUME')[0] ?? '') as string[];
  expect(volumes.toSorted()).toEqual(container.MountPoints.map(({ ContainerPath }) => ContainerPath).toSorted());
  // The image's own command runs.
  expect([container.Command, container.EntryPoint]).toEqual([undefined, undefined]);
  expect(lastStage('ENTRYPOINT')).toEqual(['["node", "--max-semi-space-size=16", "server.js"]']);
});
