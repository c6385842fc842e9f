import { Datatype } from '../../../lib/core/manifest';
import { splitBinaryStrings } from './binary-elements';
import { codecOf, type TensorData } from './datatypes';
import { elementsAsJson } from './element-text';
import { elementCount, type Tensor, tensorBytes } from './tensors';

/*
 * A prediction as the cache keeps it: the outputs' elements as binary tensor data behind a head, so that a binary answer
 * is a copy of bytes and a JSON answer is written without reading JSON. Numbers are little-endian:
 *
 *   u32 bytes of everything before the elements, u16 number of outputs
 *   for each output: u8 datatype (its place in `Datatype`), u8 rank, u16 bytes of the name, f64 bytes of the elements,
 *     f64 for each axis (exact up to 2^53), the name in UTF-8
 *   the elements of each output in turn
 */

/** Version of the layout above; part of every cache key, because L1 and the disk outlive a deployment. */
export const PREDICTION_BODY_FORMAT = '2';

const START_BYTES = 6;
const FIXED_HEAD_BYTES = 12;
const AXIS_BYTES = 8;

/** One output as a cached prediction holds it. */
export interface StoredOutput {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** Its elements as binary tensor data; a view of the prediction. */
  readonly bytes: Buffer;
}

/** Encodes a model's outputs. */
export function encodePrediction(outputs: readonly Tensor[]): Buffer {
  if (outputs.length === 0) throw new Error('a prediction needs at least one output');
  const parts = outputs.map((output) => ({ output, name: Buffer.from(output.name), bytes: tensorBytes(output) }));
  let headBytes = START_BYTES;
  let bytes = 0;
  for (const part of parts) {
    headBytes += FIXED_HEAD_BYTES + part.output.shape.length * AXIS_BYTES + part.name.length;
    bytes += part.bytes.length;
  }
  const body = Buffer.allocUnsafe(headBytes + bytes);
  body.writeUInt32LE(headBytes, 0);
  body.writeUInt16LE(parts.length, 4);
  let head = START_BYTES;
  let elements = headBytes;
  for (const { output, name, bytes } of parts) {
    head = writeHead(body, head, output, name, bytes.length);
    elements += bytes.copy(body, elements);
  }
  return body;
}

function writeHead(body: Buffer, start: number, { datatype, shape }: Tensor, name: Buffer, bytes: number): number {
  body.writeUInt8(Datatype.options.indexOf(datatype), start);
  body.writeUInt8(shape.length, start + 1);
  body.writeUInt16LE(name.length, start + 2);
  body.writeDoubleLE(bytes, start + 4);
  let at = start + FIXED_HEAD_BYTES;
  for (const axis of shape) at = body.writeDoubleLE(axis, at);
  return at + name.copy(body, at);
}

/** The outputs of a prediction, in the model's order. */
export function decodePrediction(body: Buffer): StoredOutput[] {
  const outputs: StoredOutput[] = [];
  let head = START_BYTES;
  let elements = body.readUInt32LE(0);
  for (let left = body.readUInt16LE(4); left > 0; left -= 1) {
    const shape = shapeAt(body, head);
    const nameStart = head + FIXED_HEAD_BYTES + shape.length * AXIS_BYTES;
    const nameEnd = nameStart + body.readUInt16LE(head + 2);
    const end = elements + body.readDoubleLE(head + 4);
    const name = body.toString('utf8', nameStart, nameEnd);
    outputs.push({ name, datatype: datatypeAt(body, head), shape, bytes: body.subarray(elements, end) });
    head = nameEnd;
    elements = end;
  }
  return outputs;
}

/** JSON text of the first output: a bare value where it has one element, else a flat array. */
export function predictionText(body: Buffer): string {
  const start = body.readUInt32LE(0);
  const bytes = body.subarray(start, start + body.readDoubleLE(START_BYTES + 4));
  const shape = shapeAt(body, START_BYTES);
  const elements = storedElementsAsJson({ datatype: datatypeAt(body, START_BYTES), shape, bytes });
  return elementCount(shape) === 1 ? elements : `[${elements}]`;
}

/** JSON text of an output's elements, comma-separated. */
export function storedElementsAsJson(output: Omit<StoredOutput, 'name'>): string {
  return elementsAsJson(output.datatype, storedElements(output));
}

/** The elements of an output. */
export function storedElements({ datatype, shape, bytes }: Omit<StoredOutput, 'name'>): TensorData {
  if (datatype === 'BYTES') return splitBinaryStrings(bytes, elementCount(shape), 'the prediction').map(String);
  return codecOf(datatype).view(bytes);
}

function datatypeAt(body: Buffer, head: number): Datatype {
  return Datatype.options[body.readUInt8(head)] as Datatype;
}

function shapeAt(body: Buffer, head: number): number[] {
  const shape: number[] = [];
  for (let axis = 0; axis < body.readUInt8(head + 1); axis += 1) {
    shape.push(body.readDoubleLE(head + FIXED_HEAD_BYTES + axis * AXIS_BYTES));
  }
  return shape;
}
