import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { buildEdgeImageContext, EdgeImage } from '../../../lib/constructs/edge-image';

test('the build context that is uploaded holds every file that the Dockerfile copies from it', () => {
  const outdir = mkdtempSync(join(tmpdir(), 'mlcdn-image-'));
  const app = new App({ outdir });
  new EdgeImage(new Stack(app, 'Stack'), 'Image', buildEdgeImageContext());
  const [asset = ''] = readdirSync(outdir).filter((name) => name.startsWith('asset.'));
  const context = readdirSync(join(outdir, asset));
  const dockerfile = readFileSync(join(outdir, asset, 'Dockerfile'), 'utf8');
  rmSync(outdir, { recursive: true });
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, files = '']) => files.split(' '));
  expect(copied).toEqual(expect.arrayContaining(['server.js', 'worker.js', 'package.json', 'package-lock.json']));
  expect(context).toEqual(expect.arrayContaining(copied));
});
