import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { messageOf } from '../../errors';
import { RefusedModel } from '../refused-model';
import type { ModelFile } from './types';

/**
 * Reads a model file and checks it against its SHA-256. ONNX Runtime is given these bytes, not the path, so that what
 * was checked is what is loaded. Rejects with `RefusedModel` when the file is not the one that was meant; when it cannot
 * be read, which may pass, with another error.
 */
export async function readModelBytes({ path, sha256 }: Pick<ModelFile, 'path' | 'sha256'>): Promise<Buffer> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new Error(`the model file cannot be read: ${messageOf(error)}`, { cause: error });
  });
  const got = createHash('sha256').update(bytes).digest('hex');
  if (got !== sha256) throw new RefusedModel(`the model file should have SHA-256 ${sha256}, got ${got}`);
  return bytes;
}
