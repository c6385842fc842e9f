import { hash } from 'node:crypto';
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
 * one version. Every field is hashed behind its length, so no two identities share an encoding. In FP16, FP32 and
 * FP64, -0 counts as 0 and every NaN as one: requests that differ only there share an answer, although a model that
 * divides by its input could tell the two zeros apart.
 */
export function predictionKey(identity: PredictionIdentity): string {
  const encoded = encode(fieldsOf(identity));
  return `predict/${identity.model}/${identity.version}/${hash('sha256', encoded, 'hex')}`;
}

/**
 * `predictionKey` of identities that differ only in the elements of one input, for a part of its cost: gives the key of
 * that input's elements. `identity` has the other inputs, whose names come before `input`'s, and no outputs.
 */
export function predictionKeysByElements(
  { model, version, inputs }: Omit<PredictionIdentity, 'outputs'>,
  input: Omit<KeyTensor, 'bytes'>,
): (bytes: Uint8Array) => string {
  if (inputs.some(({ name }) => name >= input.name)) throw new Error(`input ${input.name} must be the last by name`);
  const identity = { model, version, inputs: [...inputs, { ...input, bytes: NOTHING }] };
  // It ends with the length of no elements.
  const start = Buffer.from(encode(fieldsOf(identity)));
  const lengthAt = start.length - LENGTH_BYTES;
  const path = `predict/${model}/${version}/`;
  let whole = start;
  return (bytes) => {
    const elements = canonicalBytes({ datatype: input.datatype, bytes });
    const length = start.length + elements.length;
    if (whole.length !== length) {
      whole = Buffer.allocUnsafe(length);
      whole.set(start);
      whole.writeUInt32LE(elements.length, lengthAt);
    }
    whole.set(elements, start.length);
    return path + hash('sha256', whole, 'hex');
  };
}

const NOTHING = new Uint8Array(0);

type Field = string | Uint8Array;

function fieldsOf({ model, version, inputs, outputs }: PredictionIdentity): Field[] {
  const fields: Field[] = ['mlcdn prediction 1', model, version, `${inputs.length}`];
  for (const input of inputs.length > 1 ? [...inputs].sort(byName) : inputs) {
    fields.push(input.name, input.datatype, input.shape.join(), canonicalBytes(input));
  }
  if (outputs) fields.push(`${outputs.length}`, ...outputs);
  return fields;
}

function byName(a: KeyTensor, b: KeyTensor): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/**
 * Most identities fit in here; hashing one buffer at once costs a third of feeding a hash object field by field, and
 * making a buffer of this size more than filling it.
 */
const SCRATCH = Buffer.allocUnsafe(128 * 1024);
const LENGTH_BYTES = 4;
const UTF8_BYTES_PER_UNIT = 3;

/** Every field behind its length; valid until the next call. */
function encode(fields: readonly Field[]): Buffer {
  let bound = 0;
  for (const field of fields) {
    bound += LENGTH_BYTES + (typeof field === 'string' ? field.length * UTF8_BYTES_PER_UNIT : field.length);
  }
  const bytes = bound <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafe(bound);
  let end = 0;
  for (const field of fields) {
    const start = end + LENGTH_BYTES;
    let length = field.length;
    if (typeof field === 'string') length = writeText(bytes, field, start);
    else bytes.set(field, start);
    bytes.writeUInt32LE(length, end);
    end = start + length;
  }
  return bytes.subarray(0, end);
}

/** Longer texts are written quicker by the native call, which for a short one costs more than the text. */
const SHORT_TEXT = 32;

/** Writes UTF-8 and gives its bytes. */
function writeText(bytes: Buffer, text: string, start: number): number {
  if (text.length > SHORT_TEXT) return bytes.write(text, start);
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return bytes.write(text, start);
    bytes[start + i] = unit;
  }
  return text.length;
}

function canonicalBytes({ datatype, bytes }: Pick<KeyTensor, 'datatype' | 'bytes'>): Uint8Array {
  if (datatype === 'FP16') return canonicalHalves(bytes);
  if (datatype === 'FP32') return canonicalFloats(bytes, 4);
  if (datatype === 'FP64') return canonicalFloats(bytes, 8);
  return bytes;
}

/**
 * IEEE 754 bit patterns, told by the high word alone where that is enough: a sign bit over zeros is -0, an exponent of
 * ones over a fraction is NaN. Read a word at a time, low word first, as the processors do that Node runs on.
 */
function canonicalFloats(bytes: Uint8Array, width: 4 | 8): Uint8Array {
  const exponent = width === 4 ? 0x7f800000 : 0x7ff00000;
  const quietNaN = width === 4 ? 0x7fc00000 : 0x7ff80000;
  const stride = width / 4;
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes);
  let words = new Uint32Array(aligned.buffer, aligned.byteOffset, Math.floor(bytes.byteLength / width) * stride);
  let copy: Uint8Array | undefined;
  for (let at = stride - 1; at < words.length; at += stride) {
    const high = words[at] ?? 0;
    const low = stride === 2 ? (words[at - 1] ?? 0) : 0;
    const magnitude = high & 0x7fffffff;
    const isNegativeZero = high === 0x80000000 && low === 0;
    const isNotANumber = magnitude > exponent || (magnitude === exponent && low !== 0);
    if (!isNegativeZero && !isNotANumber) continue;
    if (!copy) {
      copy = Uint8Array.from(bytes);
      words = new Uint32Array(copy.buffer, 0, words.length);
    }
    words[at] = isNotANumber ? quietNaN : 0;
    if (stride === 2) words[at - 1] = 0;
  }
  return copy ?? bytes;
}

/** As `canonicalFloats`, for IEEE 754 binary16. */
function canonicalHalves(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.from(bytes);
  for (let offset = 0; offset + 2 <= copy.length; offset += 2) {
    const bits = copy.readUInt16LE(offset);
    if (bits === 0x8000) copy.writeUInt16LE(0, offset);
    else if ((bits & 0x7fff) > 0x7c00) copy.writeUInt16LE(0x7e00, offset);
  }
  return copy;
}
