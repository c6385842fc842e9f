import { z } from 'zod';
import {
  CacheTags,
  leaseFaults,
  MaxBytes,
  OncePerRegion,
  type PolicyFault,
  reportFaults,
  Seconds,
  settings,
  Tiers,
  TtlJitter,
} from './cache-policy';
import { ModelName, ModelVersion } from './model-name';

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

/** How predictions of a version are cached; durations in seconds. What is absent is as before it could be said. */
const CacheSettings = settings('an object such as {"ttlSeconds": 60, "tags": ["shop:1"]}', {
  /** Freshness. 0: predictions are not cached, as for a model that draws random numbers. */
  ttlSeconds: Seconds.default(300),
  /** Tags beside those of the model and the version. */
  tags: CacheTags.default([]),
  /** How long past its freshness an answer is given at once while one fill refreshes it (RFC 5861). Absent: 0. */
  staleWhileRevalidateSeconds: Seconds.exactOptional(),
  /** How long past its freshness an answer is given when the model fails (RFC 5861). Absent: 0. */
  staleIfErrorSeconds: Seconds.exactOptional(),
  /** Share of the lifetime by which it is shortened at random. Absent: 0, so that answers live as long as is written here. */
  ttlJitter: TtlJitter.exactOptional(),
  /** Tiers that may hold predictions. Absent: all. */
  tiers: Tiers.exactOptional(),
  /** Larger answers are not stored. Absent: no bound but the tiers' own. */
  maxBytes: MaxBytes.exactOptional(),
  /** Whether only one task of a region computes a prediction at a time. Absent: every task may. */
  oncePerRegion: OncePerRegion.exactOptional(),
});

function cacheFaults(policy: z.output<typeof CacheSettings>): PolicyFault[] {
  const faults = leaseFaults(policy);
  for (const field of ['staleWhileRevalidateSeconds', 'staleIfErrorSeconds'] as const) {
    const seconds = policy[field] ?? 0;
    if (policy.ttlSeconds > 0 || seconds === 0) continue;
    faults.push({ field, message: `${seconds} needs a ttlSeconds above 0, for 0 means that nothing is cached` });
  }
  return faults;
}

export const CachePolicy = CacheSettings.superRefine(reportFaults(cacheFaults));
/** How predictions of a version are cached; durations in seconds. */
export type CachePolicy = z.infer<typeof CachePolicy>;

/** Place of tensors outside `model.onnx`, relative to its directory and never outside of it, on any system. */
export const ExternalDataLocation = z
  .string()
  .max(512)
  .refine((path) => path.split('/').every((part) => !['', '.', '..'].includes(part)) && !/[\\*\p{Cc}]/u.test(path), {
    error: 'must be a relative path without "." and "..", such as "model.onnx.data"',
  })
  .refine((path) => path !== 'model.onnx' && path !== 'manifest.json', { error: 'must be a file of its own' });

/** A file beside `model.onnx` that holds tensors of it ("external data" of ONNX). */
export const ExternalData = z.strictObject({
  location: ExternalDataLocation,
  /** Lower-case hex SHA-256. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.int().min(0),
});
export type ExternalData = z.infer<typeof ExternalData>;

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
  /** Every file that the model's external data names. Absent: the model is in one file. */
  externalData: z.array(ExternalData).exactOptional(),
  /**
   * Whether inputs or outputs may differ from those of the version that this one replaces. Absent: no, for a client that
   * is right today would be wrong after the activation.
   */
  signatureChange: z.boolean().exactOptional(),
  cache: CachePolicy.prefault({}),
  publishedAt: z.iso.datetime(),
});
export type ModelManifest = z.infer<typeof ModelManifest>;
