/**
 * Pins the base of the edge image: `npm run image:pin [-- --registry URL] [--file DOCKERFILE] [--move]`.
 *
 * Asks Docker Hub, or a mirror of it, for the digest of the tag that the Dockerfile names and writes it behind the tag. Every
 * later build gets exactly these bytes or fails. A pin whose tag has moved since stays, unless `--move` is given.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT_ROOT } from '../lib/constructs/bundle';
import { baseImage, pinned } from './image/base-image';
import { DOCKER_HUB, tagDigest } from './image/registry';

const DOCKERFILE = join(PROJECT_ROOT, 'containers', 'edge', 'image', 'Dockerfile');

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      registry: { type: 'string', default: DOCKER_HUB },
      file: { type: 'string', default: DOCKERFILE },
      move: { type: 'boolean', default: false },
    },
  });
  const { registry, file, move } = values;
  if (!/^https?:\/\/[^/]+$/.test(registry)) {
    throw new Error(`--registry ${registry} must be a scheme and a host, e.g. ${DOCKER_HUB}`);
  }
  const text = readFileSync(file, 'utf8');
  const { tag, digest: before } = baseImage(text);
  const digest = await tagDigest('node', tag, 'arm64', registry);
  if (before !== undefined && before !== digest && !move) {
    throw new Error(
      `node:${tag} has moved: pinned ${before}, now ${digest}. Nothing was changed; --move takes the new one.`,
    );
  }
  writeFileSync(file, pinned(text, digest));
  console.log(`node:${tag}@${digest}${before === digest ? ', as before' : ''}`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
