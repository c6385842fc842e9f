import { isDeepStrictEqual } from 'node:util';
import { CachePolicy, type ModelManifest, type TensorSpec } from '../../../lib/core/manifest';
import { messageOf } from '../errors';
import { checkGoldenSamples } from './golden';
import { LoadedModel } from './loaded-model';
import type { LocalModelFile, ModelSource } from './model-source';
import { type OnnxSession, openOnnxSession } from './onnx-session';
import { RefusedModel } from './refused-model';
import { canRunRowsTogether, warmUp } from './trial-runs';

const DEFAULT_TOLERANCE = 1e-4;

/**
 * Brings a version from its source to readiness: size and SHA-256 as published, loads, signature as published, golden
 * samples answered within tolerance, warm. Throws `RefusedModel` with the reason when it must not serve.
 */
export async function prepareModel(source: ModelSource, model: string, version: string): Promise<LoadedModel> {
  const file = await source.fetchVersion(model, version);
  try {
    checkBytes(file);
    const session = await openOnnxSession(file.path);
    try {
      return await examine(session, file, model, version);
    } catch (error) {
      await session.release();
      // The bytes are the published ones, so whatever they fail at now they will fail at again.
      throw error instanceof RefusedModel ? error : new RefusedModel(messageOf(error), { cause: error });
    }
  } finally {
    await file.discard();
  }
}

async function examine(
  session: OnnxSession,
  file: LocalModelFile,
  name: string,
  version: string,
): Promise<LoadedModel> {
  const { manifest, sha256 } = file;
  if (manifest !== undefined) checkSignature(session, manifest);
  const golden = manifest?.golden ?? [];
  const tolerance = manifest?.tolerance ?? DEFAULT_TOLERANCE;
  await checkGoldenSamples((inputs) => session.run(inputs), golden, tolerance);
  await warmUp(session, golden);
  const batchable = await canRunRowsTogether(session, golden, tolerance);
  return new LoadedModel({
    name,
    version,
    sha256,
    cache: manifest?.cache ?? CachePolicy.parse({}),
    session,
    batchable,
  });
}

function checkBytes({ manifest, bytes, sha256 }: LocalModelFile): void {
  if (manifest === undefined) return;
  if (bytes !== manifest.bytes) {
    throw new RefusedModel(`model.onnx should have ${manifest.bytes} bytes, got ${bytes}`);
  }
  if (sha256 !== manifest.sha256) {
    throw new RefusedModel(`model.onnx should have SHA-256 ${manifest.sha256}, got ${sha256}`);
  }
}

function checkSignature(session: OnnxSession, manifest: ModelManifest): void {
  for (const role of ['inputs', 'outputs'] as const) {
    if (isDeepStrictEqual(session[role].map(describe), manifest[role].map(describe))) continue;
    const should = manifest[role].map(describe).join(', ');
    throw new RefusedModel(`${role} should be ${should}, got ${session[role].map(describe).join(', ')}`);
  }
}

function describe(spec: TensorSpec): string {
  return `${spec.name} ${spec.datatype} [${spec.shape.join(',')}]`;
}
