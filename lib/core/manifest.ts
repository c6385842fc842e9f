import { z } from 'zod';
import { ModelName, ModelVersion } from './model-name';
import { CacheTag } from './tags';

/** Datatypes of the Open Inference Protocol v2. */
export const Datatype = z.enum([
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
]);
export type Datatype = z.infer<typeof Datatype>;

/** Name, datatype and shape of a model's input or output; `-1` stands for a dynamic axis, `[]` for a scalar. */
export const TensorSpec = z.strictObject({
  name: z.string().min(1),
  datatype: Datatype,
  shape: z.array(z.int().min(-1)),
});
export type TensorSpec = z.infer<typeof TensorSpec>;

/** A concrete tensor: row-major flat `data` of as many elements as `shape` has. 64-bit integers may be decimal strings. */
export const TensorValue = z.strictObject({
  name: z.string().min(1),
  datatype: Datatype,
  shape: z.array(z.int().min(0)),
  data: z.array(z.union([z.number(), z.string(), z.boolean()])),
});
export type TensorValue = z.infer<typeof TensorValue>;

/** Inputs with the outputs the model must give for them, within `tolerance` (relative, with 1e-6 absolute). */
export const GoldenSample = z.strictObject({
  inputs: z.array(TensorValue).min(1),
  outputs: z.array(TensorValue).min(1),
});
export type GoldenSample = z.infer<typeof GoldenSample>;

/** How predictions of a version are cached; durations in seconds. */
export const CachePolicy = z.strictObject({
  ttlSeconds: z.int().min(0).max(31_536_000).default(300),
  tags: z.array(CacheTag).max(40).default([]),
});
export type CachePolicy = z.infer<typeof CachePolicy>;

/** `manifest.json` beside a version's `model.onnx`: what a region checks before it serves the version. Immutable. */
export const ModelManifest = z.strictObject({
  schemaVersion: z.literal(1),
  model: ModelName,
  version: ModelVersion,
  /** Lower-case hex SHA-256 of `model.onnx`. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Size of `model.onnx` in bytes. */
  bytes: z.int().positive(),
  inputs: z.array(TensorSpec).min(1),
  outputs: z.array(TensorSpec).min(1),
  golden: z.array(GoldenSample).default([]),
  tolerance: z.number().positive().default(1e-4),
  cache: CachePolicy.prefault({}),
  publishedAt: z.iso.datetime(),
});
export type ModelManifest = z.infer<typeof ModelManifest>;
