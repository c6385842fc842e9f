import { createHash } from 'node:crypto';
import type { Datatype } from './manifest';

/** One input tensor as the key sees it. */
export interface KeyTensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** Row-major elements, little-endian; BYTES as the Open Inference Protocol's binary form (4-byte length before each). */
  readonly bytes: Uint8Array;
}

/** What a prediction depends on. */
export interface PredictionIdentity {
  readonly model: string;
  readonly version: string;
  /** In any order; an input's name occurs once. */
  readonly inputs: readonly KeyTensor[];
  /** Requested outputs in the order of the answer; absent means all of them, which is not the same key as naming all. */
  readonly outputs?: readonly string[] | undefined;
}

/**
 * Cache key of a prediction: `predict/<model>/<version>/<SHA-256 hex>`, so that a prefix or glob reaches one model or
 * one version. Every field is hashed behind its length, so no two identities share an encoding. In FP32 and FP64,
 * -0 counts as 0 and every NaN as one: requests that differ only there share an answer, although a model that divides
 * by its input could tell the two zeros apart.
 */
export function predictionKey(identity: PredictionIdentity): string {
  const hash = createHash('sha256');
  const field = (value: string | Uint8Array) => {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32LE(bytes.length);
    hash.update(length).update(bytes);
  };

  field('mlcdn prediction 1');
  field(identity.model);
  field(identity.version);
  const inputs = [...identity.inputs].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  field(`${inputs.length}`);
  for (const input of inputs) {
    field(input.name);
    field(input.datatype);
    field(input.shape.join());
    field(canonicalBytes(input));
  }
  if (identity.outputs) {
    field(`${identity.outputs.length}`);
    for (const output of identity.outputs) field(output);
  }
  return `predict/${identity.model}/${identity.version}/${hash.digest('hex')}`;
}

function canonicalBytes({ datatype, bytes }: KeyTensor): Uint8Array {
  if (datatype === 'FP32') return canonicalFloats(bytes, 4);
  if (datatype === 'FP64') return canonicalFloats(bytes, 8);
  return bytes;
}

/**
 * IEEE 754 bit patterns, told by the high word alone where that is enough: a sign bit over zeros is -0, an exponent of
 * ones over a fraction is NaN.
 */
function canonicalFloats(bytes: Uint8Array, width: 4 | 8): Uint8Array {
  const exponent = width === 4 ? 0x7f800000 : 0x7ff00000;
  const quietNaN = width === 4 ? 0x7fc00000 : 0x7ff80000;
  let view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let copy: Uint8Array | undefined;
  for (let offset = 0; offset + width <= bytes.byteLength; offset += width) {
    const high = view.getUint32(offset + width - 4, true);
    const low = width === 8 ? view.getUint32(offset, true) : 0;
    const magnitude = high & 0x7fffffff;
    const isNegativeZero = high === 0x80000000 && low === 0;
    const isNotANumber = magnitude > exponent || (magnitude === exponent && low !== 0);
    if (!isNegativeZero && !isNotANumber) continue;
    if (!copy) {
      copy = Uint8Array.from(bytes);
      view = new DataView(copy.buffer);
    }
    view.setUint32(offset + width - 4, isNotANumber ? quietNaN : 0, true);
    if (width === 8) view.setUint32(offset, 0, true);
  }
  return copy ?? bytes;
}
