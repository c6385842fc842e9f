import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { Construct } from 'constructs';
import { BUILD_DIRECTORY, PROJECT_ROOT, writeIfChanged } from './bundle';
import { bundleEdgeProgram, EDGE_PROGRAMS } from './edge-programs';

/** Dockerfile, lockfile and what else the image is built from beside the bundled service. */
const IMAGE_FILES = join(PROJECT_ROOT, 'containers', 'edge', 'image');

/**
 * Bundles the edge service and lays it out as an image's build context.
 * @returns the context's directory, to be given to each region's `EdgeImage`.
 */
export function buildEdgeImageContext(): string {
  const context = join(BUILD_DIRECTORY, 'edge');
  for (const program of EDGE_PROGRAMS) writeIfChanged(join(context, `${program}.js`), bundleEdgeProgram(program));
  for (const file of readdirSync(IMAGE_FILES)) {
    writeIfChanged(join(context, file), readFileSync(join(IMAGE_FILES, file)));
  }
  return context;
}

/** The edge service's container image, for ARM64. */
export class EdgeImage extends Construct {
  readonly asset: DockerImageAsset;

  constructor(scope: Construct, id: string, contextDirectory: string) {
    super(scope, id);
    this.asset = new DockerImageAsset(this, 'Asset', {
      directory: contextDirectory,
      platform: Platform.LINUX_ARM64,
    });
  }
}
