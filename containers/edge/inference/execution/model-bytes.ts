import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { messageOf } from '../../errors';
import { RefusedModel } from '../refused-model';
import type { ModelFile } from './types';

/** Where a model is and what it must be. */
export type ModelLocation = Pick<ModelFile, 'path' | 'sha256' | 'externalData'>;

/**
 * Checks a model's files against their SHA-256 and gives what ONNX Runtime is to load: the bytes themselves, so that what
 * was checked is what is loaded, or, for a model that keeps tensors in files beside it, its path. Rejects with
 * `RefusedModel` when a file is not the one that was meant; when it cannot be read, which may pass, with another error.
 */
export async function verifiedModel({ path, sha256, externalData = [] }: ModelLocation): Promise<Buffer | string> {
  const bytes = await readFile(path).catch(unreadable);
  check('the model file', createHash('sha256').update(bytes).digest('hex'), sha256);
  if (externalData.length === 0) return bytes;
  for (const file of externalData) {
    check(`the external data ${file.path}`, await digestOf(file.path).catch(unreadable), file.sha256);
  }
  return path;
}

function check(what: string, got: string, wanted: string): void {
  if (got !== wanted) throw new RefusedModel(`${what} should have SHA-256 ${wanted}, got ${got}`);
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest('hex');
}

function unreadable(error: unknown): never {
  throw new Error(`the model file cannot be read: ${messageOf(error)}`, { cause: error });
}
