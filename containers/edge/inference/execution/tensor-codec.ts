import type { Datatype } from '../../../../lib/core/manifest';
import type { TensorData } from '../datatypes';
import type { Tensor } from '../tensors';

/*
 * Tensors as bytes between processes of one machine, so in its own byte order, which is little-endian wherever Node and
 * ONNX Runtime run. All heads come first, then the elements of each tensor as they lie in memory:
 *
 *   u32 number of tensors, u32 bytes of all heads
 *   a head each:  u8 datatype, u8 element class, u16 rank, u32 bytes of the name, f64 bytes of the elements,
 *                 f64 for each axis, the name in UTF-8, padded to 8
 *   the elements of each, padded to 8; a string is its UTF-8 bytes behind their number (u32)
 *
 * Whole numbers that may pass 2^32 are doubles, exact up to 2^53. Every offset of elements is a multiple of 8, so in a
 * buffer that begins at one they are read by a typed array without a copy.
 */

const START_BYTES = 8;
const HEAD_BYTES = 16;
const ALIGNMENT = 8;
const PADDING = Buffer.alloc(ALIGNMENT);
const LENGTH_BYTES = 4;

/** Codes on the wire. A table of its own, since the list in `lib/core` comes with a schema library to load. */
const DATATYPE_CODES: Readonly<Record<Datatype, number>> = {
  BOOL: 0,
  UINT8: 1,
  UINT16: 2,
  UINT32: 3,
  UINT64: 4,
  INT8: 5,
  INT16: 6,
  INT32: 7,
  INT64: 8,
  FP16: 9,
  FP32: 10,
  FP64: 11,
  BYTES: 12,
};
const DATATYPES = Object.keys(DATATYPE_CODES) as Datatype[];

type NumericData = Exclude<TensorData, readonly string[]>;

const NUMERIC_CLASSES = [
  Float32Array,
  Float64Array,
  Int8Array,
  Int16Array,
  Int32Array,
  Uint8Array,
  Uint16Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
] as const;
/** By name, since an array of another realm (Jest, node:vm) is no instance of this one's class. */
const CLASS_NAMES = NUMERIC_CLASSES.map((each) => each.name);
const STRINGS = CLASS_NAMES.length;

/** Pieces that follow each other on the wire. Elements are not copied: they must not change until they are written. */
export function encodeTensors(tensors: readonly Tensor[]): Uint8Array[] {
  const contents = tensors.map(({ data }) => (isStrings(data) ? encodeStrings(data) : bytesOf(data)));
  const headBytes = tensors.reduce((sum, { name, shape }) => sum + headSize(name, shape.length), 0);
  const heads = Buffer.alloc(START_BYTES + headBytes);
  heads.writeUInt32LE(tensors.length, 0);
  heads.writeUInt32LE(headBytes, 4);
  let at = START_BYTES;
  for (const [i, tensor] of tensors.entries()) at = writeHead(heads, at, tensor, contents[i]?.byteLength ?? 0);
  const pieces: Uint8Array[] = [heads];
  for (const bytes of contents) {
    pieces.push(bytes);
    const missing = padded(bytes.byteLength) - bytes.byteLength;
    if (missing > 0) pieces.push(PADDING.subarray(0, missing));
  }
  return pieces;
}

/**
 * The tensors that begin at `offset` of a buffer, as views of it. The offset must be a multiple of 8, counted from the
 * start of the underlying memory. Throws when the bytes are not what `encodeTensors` writes.
 */
export function decodeTensors(bytes: Buffer, offset: number): Tensor[] {
  const count = bytes.readUInt32LE(offset);
  let head = offset + START_BYTES;
  let content = head + bytes.readUInt32LE(offset + 4);
  const tensors: Tensor[] = [];
  for (let i = 0; i < count; i += 1) {
    const rank = bytes.readUInt16LE(head + 2);
    const nameBytes = bytes.readUInt32LE(head + 4);
    const contentBytes = bytes.readDoubleLE(head + 8);
    if (content + contentBytes > bytes.length) throw new Error(`tensor ${i} reaches past the end of its frame`);
    const shape = Array.from({ length: rank }, (_, axis) => bytes.readDoubleLE(head + HEAD_BYTES + axis * 8));
    const nameAt = head + HEAD_BYTES + rank * 8;
    tensors.push({
      name: bytes.toString('utf8', nameAt, nameAt + nameBytes),
      datatype: datatypeAt(bytes, head),
      shape,
      data: dataAt(bytes, bytes.readUInt8(head + 1), content, contentBytes),
    });
    head = nameAt + padded(nameBytes);
    content += padded(contentBytes);
  }
  return tensors;
}

function headSize(name: string, rank: number): number {
  return HEAD_BYTES + rank * 8 + padded(Buffer.byteLength(name));
}

function writeHead(into: Buffer, start: number, { name, datatype, shape, data }: Tensor, contentBytes: number): number {
  into.writeUInt8(DATATYPE_CODES[datatype], start);
  into.writeUInt8(classOf(data), start + 1);
  into.writeUInt16LE(shape.length, start + 2);
  into.writeDoubleLE(contentBytes, start + 8);
  let at = start + HEAD_BYTES;
  for (const axis of shape) at = into.writeDoubleLE(axis, at);
  const nameBytes = into.write(name, at);
  into.writeUInt32LE(nameBytes, start + 4);
  return at + padded(nameBytes);
}

function classOf(data: TensorData): number {
  return isStrings(data) ? STRINGS : CLASS_NAMES.indexOf(data[Symbol.toStringTag]);
}

function datatypeAt(bytes: Buffer, head: number): Datatype {
  const datatype = DATATYPES[bytes.readUInt8(head)];
  if (datatype === undefined) throw new Error(`datatype ${bytes.readUInt8(head)} of a frame is not known`);
  return datatype;
}

function dataAt(bytes: Buffer, classIndex: number, start: number, length: number): TensorData {
  if (classIndex === STRINGS) return decodeStrings(bytes, start, length);
  const View = NUMERIC_CLASSES[classIndex];
  if (View === undefined) throw new Error(`element class ${classIndex} of a frame is not known`);
  return new View(bytes.buffer as ArrayBuffer, bytes.byteOffset + start, length / View.BYTES_PER_ELEMENT);
}

function bytesOf(data: NumericData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function encodeStrings(texts: readonly string[]): Buffer {
  const bytes = Buffer.allocUnsafe(texts.reduce((sum, text) => sum + LENGTH_BYTES + Buffer.byteLength(text), 0));
  let at = 0;
  for (const text of texts) {
    const length = bytes.write(text, at + LENGTH_BYTES);
    bytes.writeUInt32LE(length, at);
    at += LENGTH_BYTES + length;
  }
  return bytes;
}

function decodeStrings(bytes: Buffer, start: number, length: number): string[] {
  const texts: string[] = [];
  let at = start;
  while (at < start + length) {
    const from = at + LENGTH_BYTES;
    at = from + bytes.readUInt32LE(at);
    texts.push(bytes.toString('utf8', from, at));
  }
  return texts;
}

function isStrings(data: TensorData): data is readonly string[] {
  return Array.isArray(data);
}

function padded(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}
