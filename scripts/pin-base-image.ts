/**
 * Pins the base of the edge image, `npm run image:pin`: asks Docker Hub for the digest of the tag that the Dockerfile names
 * and writes it behind the tag. Every later build gets exactly these bytes or fails.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../lib/constructs/bundle';
import { baseImage, pinned } from './image/base-image';
import { tagDigest } from './image/registry';

const DOCKERFILE = join(PROJECT_ROOT, 'containers', 'edge', 'image', 'Dockerfile');

async function main(): Promise<void> {
  const text = readFileSync(DOCKERFILE, 'utf8');
  const { tag } = baseImage(text);
  const digest = await tagDigest('node', tag, 'arm64');
  writeFileSync(DOCKERFILE, pinned(text, digest));
  console.log(`node:${tag}@${digest}`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
