import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import type { AssetLookup } from './types';

const AssetManifest = z.looseObject({
  files: z
    .record(
      z.string(),
      z.looseObject({
        source: z.looseObject({ path: z.string().optional() }),
        destinations: z.record(z.string(), z.looseObject({ objectKey: z.string() })),
      }),
    )
    .default({}),
  dockerImages: z
    .record(
      z.string(),
      z.looseObject({
        source: z.looseObject({ directory: z.string().optional() }),
        destinations: z.record(z.string(), z.looseObject({ imageTag: z.string() })),
      }),
    )
    .default({}),
});

/** Reads asset manifests (`*.assets.json`) into a lookup from upload destination to staged source. */
export function readAssets(manifestFiles: readonly string[]): AssetLookup {
  const files = new Map<string, string>();
  const images = new Map<string, string>();
  for (const manifestFile of manifestFiles) {
    const manifest = AssetManifest.parse(JSON.parse(readFileSync(manifestFile, 'utf8')));
    const stagedPath = (path: string) => resolve(dirname(manifestFile), path);
    for (const { source, destinations } of Object.values(manifest.files)) {
      for (const { objectKey } of Object.values(destinations)) {
        if (source.path !== undefined) files.set(objectKey, stagedPath(source.path));
      }
    }
    for (const { source, destinations } of Object.values(manifest.dockerImages)) {
      for (const { imageTag } of Object.values(destinations)) {
        if (source.directory !== undefined) images.set(imageTag, stagedPath(source.directory));
      }
    }
  }
  const where = manifestFiles.length > 0 ? manifestFiles.join(', ') : 'a stack without an asset manifest';
  return {
    fileByObjectKey: (objectKey) => found(files, objectKey, 'object key', where),
    imageDirectoryByTag: (tag) => found(images, tag, 'image tag', where),
  };
}

function found(paths: ReadonlyMap<string, string>, name: string, kind: string, where: string): string {
  const path = paths.get(name);
  if (path === undefined) throw new Error(`no staged asset has the ${kind} ${name} in ${where}`);
  return path;
}
