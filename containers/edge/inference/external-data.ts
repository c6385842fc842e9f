import { realpath, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { ExternalDataLocation } from '../../../lib/core/manifest';
import { RefusedModel } from './refused-model';

/**
 * Checks the files beside an ONNX file in which it keeps tensors, before ONNX Runtime follows them: each must be a file
 * inside the model's own directory, whatever links there are. Gives their paths, by location. Throws `RefusedModel`.
 */
export async function resolveExternalData(
  modelPath: string,
  locations: ReadonlySet<string>,
): Promise<Map<string, string>> {
  const directory = dirname(modelPath);
  const resolved = new Map<string, string>();
  for (const location of locations) {
    if (!ExternalDataLocation.safeParse(location).success) throw escapes(location);
    resolved.set(location, await insideOf(directory, location));
  }
  return resolved;
}

async function insideOf(directory: string, location: string): Promise<string> {
  const path = await realpath(join(directory, location)).catch((error: unknown) => {
    throw new RefusedModel(`external data ${JSON.stringify(location)} is missing beside model.onnx`, { cause: error });
  });
  if (!path.startsWith(`${await realpath(directory)}${sep}`)) throw escapes(location);
  if (!(await stat(path)).isFile()) {
    throw new RefusedModel(`external data ${JSON.stringify(location)} must be a file`);
  }
  return path;
}

function escapes(location: string): RefusedModel {
  return new RefusedModel(
    `external data ${JSON.stringify(location)} must be a relative path that stays in the directory of model.onnx`,
  );
}
