import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GoldenSample, ModelManifest } from '../../lib/core/manifest';
import { encodeOnnx } from '../../models/onnx/writer';

/** Width of one row of a tiny model. */
const TINY_WIDTH = 3;

/** A real ONNX model: `score` = `factor` times the sum of a row of `features`, any number of rows. */
export function tinyModel(factor: number): Buffer {
  return Buffer.from(
    encodeOnnx({
      name: 'tiny',
      description: 'weighted sum of a row',
      version: 1,
      inputs: [{ name: 'features', dims: ['rows', TINY_WIDTH] }],
      outputs: [{ name: 'score', dims: ['rows', 1] }],
      initializers: [{ name: 'weights', dims: [TINY_WIDTH, 1], values: new Float32Array(TINY_WIDTH).fill(factor) }],
      nodes: [{ operator: 'MatMul', inputs: ['features', 'weights'], output: 'score' }],
    }),
  );
}

/** The golden sample of `tinyModel(factor)`. */
export function tinyGolden(factor: number): GoldenSample {
  return {
    inputs: [{ name: 'features', datatype: 'FP32', shape: [1, TINY_WIDTH], data: [1, 2, 3] }],
    outputs: [{ name: 'score', datatype: 'FP32', shape: [1, 1], data: [6 * factor] }],
  };
}

/** The manifest of `tinyModel(factor)`; `changes` make it another one. */
export function tinyManifest(version: string, factor: number, changes: Partial<ModelManifest> = {}): ModelManifest {
  const bytes = tinyModel(factor);
  return {
    schemaVersion: 1,
    model: 'tiny',
    version,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    bytes: bytes.length,
    inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, TINY_WIDTH] }],
    outputs: [{ name: 'score', datatype: 'FP32', shape: [-1, 1] }],
    golden: [tinyGolden(factor)],
    tolerance: 1e-4,
    cache: { ttlSeconds: 300, tags: [] },
    publishedAt: '2026-01-01T00:00:00.000Z',
    ...changes,
  };
}

/** Writes `<folder>/<model>/<version>/model.onnx`, and a manifest where one is given. */
export async function writeModel(
  folder: string,
  model: string,
  version: string,
  onnx: Uint8Array,
  manifest?: object,
): Promise<void> {
  const directory = join(folder, model, version);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'model.onnx'), onnx);
  if (manifest !== undefined) await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest));
}

/**
 * A real ONNX model whose run takes time in proportion to `multiplications` and the third power of its input's size: the
 * square matrix `x` multiplied with itself that often.
 */
export function powerModel(multiplications: number): Buffer {
  const name = (i: number) => (i === 0 ? 'x' : i === multiplications ? 'power' : `power${i}`);
  return Buffer.from(
    encodeOnnx({
      name: 'power',
      description: 'power of a square matrix',
      version: 1,
      inputs: [{ name: 'x', dims: ['n', 'n'] }],
      outputs: [{ name: 'power', dims: ['n', 'n'] }],
      initializers: [],
      nodes: Array.from({ length: multiplications }, (_, i) => ({
        operator: 'MatMul',
        inputs: [name(i), 'x'],
        output: name(i + 1),
      })),
    }),
  );
}

/**
 * A real ONNX model of strings: `lower` is `words` in lower case, by the rules of a locale, which ONNX Runtime asks the
 * operating system for.
 */
export function lowerCaseModel(locale: string): Buffer {
  return Buffer.from(
    encodeOnnx({
      name: 'lower-case',
      description: 'words in lower case',
      version: 1,
      inputs: [{ name: 'words', elementType: 'STRING', dims: ['words'] }],
      outputs: [{ name: 'lower', elementType: 'STRING', dims: ['words'] }],
      initializers: [],
      nodes: [
        {
          operator: 'StringNormalizer',
          inputs: ['words'],
          output: 'lower',
          attributes: { case_change_action: 'LOWER', locale },
        },
      ],
    }),
  );
}
