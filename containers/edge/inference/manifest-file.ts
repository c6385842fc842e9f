import { z } from 'zod';
import { GoldenSample, ModelManifest } from '../../../lib/core/manifest';
import { RefusedModel } from './refused-model';

/** Reads a manifest and checks that it is the one of this version. Throws `RefusedModel` saying which field is wrong. */
export function parseManifest(text: string, model: string, version: string): ModelManifest {
  const parsed = ModelManifest.safeParse(parseJson(text, 'manifest.json'));
  if (!parsed.success) throw new RefusedModel(`manifest.json is not valid: ${z.prettifyError(parsed.error)}`);
  const { model: ownModel, version: ownVersion } = parsed.data;
  if (ownModel !== model || ownVersion !== version) {
    throw new RefusedModel(
      `manifest.json should be of model ${model} version ${version}, got ${ownModel} version ${ownVersion}`,
    );
  }
  return parsed.data;
}

/** Reads `golden.json`, an array of golden samples. Throws `RefusedModel` saying which field is wrong. */
export function parseGoldenSamples(text: string): GoldenSample[] {
  const parsed = z.array(GoldenSample).safeParse(parseJson(text, 'golden.json'));
  if (!parsed.success) throw new RefusedModel(`golden.json is not valid: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RefusedModel(`${file} is not JSON`, { cause: error });
  }
}
