import { Datatype } from '../../../lib/core/manifest';
import { keptBytes } from '../kept-bytes';
import { splitBinaryStrings } from './binary-elements';
import { codecOf, type TensorData } from './datatypes';
import { elementsAsJson } from './element-text';
import { elementCount, sameShape, type Tensor, tensorBytes } from './tensors';

/*
 * A prediction as the cache keeps it: the outputs' elements as binary tensor data behind a head, so that a binary answer
 * is a copy of bytes and a JSON answer is written without reading JSON. Numbers are little-endian:
 *
 *   u32 bytes of everything before the elements, u16 number of outputs, u16 bytes of the text at the end
 *   for each output: u8 datatype (its place in `Datatype`), u8 rank, u16 bytes of the name, f64 bytes of the elements,
 *     f64 for each axis (exact up to 2^53), the name in UTF-8
 *   the elements of each output in turn
 *   where it was computed for an answer in JSON: the text of the first output as `predictionText` gives it
 */

/** Version of the layout above; part of every cache key, because L1 and the disk outlive a deployment. */
export const PREDICTION_BODY_FORMAT = '3';

const START_BYTES = 8;
const TEXT_BYTES_AT = 6;
/** Elements up to which the text is kept too: writing numbers costs more than to keep what was written, and not for long. */
const MAX_TEXT_ELEMENTS = 64;
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

/** Encodes a model's outputs, with the text of the first where `withText` asks for it. */
export function encodePrediction(outputs: readonly Tensor[], withText = false): Buffer {
  return new PredictionEncoder().encode(outputs, withText);
}

/** Encodes the predictions of one model: answers of one shape after the other share their head. */
export class PredictionEncoder {
  #like: readonly OutputHead[] = [];
  #head: Buffer = Buffer.alloc(0);

  encode(outputs: readonly Tensor[], withText = false): Buffer {
    if (outputs.length === 0) throw new Error('a prediction needs at least one output');
    const elements = outputs.map(tensorBytes);
    if (!isLike(this.#like, outputs, elements)) {
      this.#like = outputs.map(({ name, datatype, shape }, i) => ({
        name,
        datatype,
        shape: shape.slice(),
        bytes: elements[i]?.length ?? 0,
      }));
      this.#head = encodeHead(this.#like);
    }
    let end = this.#head.length;
    for (const bytes of elements) end += bytes.length;
    const text = withText ? shortText(outputs[0]) : '';
    const body = keptBytes(end + text.length);
    body.set(this.#head);
    if (text !== '') {
      body.writeUInt16LE(text.length, TEXT_BYTES_AT);
      body.write(text, end, 'latin1');
    }
    let at = this.#head.length;
    for (const bytes of elements) {
      body.set(bytes, at);
      at += bytes.length;
    }
    return body;
  }
}

/** The text of an output that is to be kept with it: of few numbers, so that it is short and ASCII. */
function shortText(output: Tensor | undefined): string {
  if (output === undefined || output.datatype === 'BYTES' || output.data.length > MAX_TEXT_ELEMENTS) return '';
  return inBrackets(elementsAsJson(output.datatype, output.data), output.shape);
}

/** A bare value where there is one element, else a flat array. */
function inBrackets(elements: string, shape: readonly number[]): string {
  return elementCount(shape) === 1 ? elements : `[${elements}]`;
}

/** What the head says of an output. */
interface OutputHead extends Omit<Tensor, 'data'> {
  /** Of its elements. */
  readonly bytes: number;
}

function isLike(known: readonly OutputHead[], outputs: readonly Tensor[], elements: readonly Buffer[]): boolean {
  if (known.length !== outputs.length) return false;
  for (let i = 0; i < known.length; i += 1) {
    const [a, b] = [known[i] as OutputHead, outputs[i] as Tensor];
    if (a.bytes !== elements[i]?.length || a.name !== b.name || a.datatype !== b.datatype) return false;
    if (!sameShape(a.shape, b.shape)) return false;
  }
  return true;
}

function encodeHead(outputs: readonly OutputHead[]): Buffer {
  const names = outputs.map(({ name }) => Buffer.from(name));
  let length = START_BYTES;
  outputs.forEach(({ shape }, i) => {
    length += FIXED_HEAD_BYTES + shape.length * AXIS_BYTES + (names[i]?.length ?? 0);
  });
  const head = Buffer.alloc(length);
  head.writeUInt32LE(length, 0);
  head.writeUInt16LE(outputs.length, 4);
  let at = START_BYTES;
  outputs.forEach((output, i) => {
    at = writeHead(head, at, output, names[i] as Buffer);
  });
  return head;
}

function writeHead(body: Buffer, start: number, { datatype, shape, bytes }: OutputHead, name: Buffer): number {
  body.writeUInt8(Datatype.options.indexOf(datatype), start);
  body.writeUInt8(shape.length, start + 1);
  body.writeUInt16LE(name.length, start + 2);
  body.writeDoubleLE(bytes, start + 4);
  let at = start + FIXED_HEAD_BYTES;
  for (const axis of shape) at = body.writeDoubleLE(axis, at);
  return at + name.copy(body, at);
}

/** Where the elements of the last output end. */
export function endOfElements(body: Buffer): number {
  return body.length - body.readUInt16LE(TEXT_BYTES_AT);
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

/** What a prediction says of its outputs before their elements: two with the same head differ in elements only. */
export function headOfPrediction(body: Buffer): Buffer {
  return body.subarray(0, body.readUInt32LE(0));
}

/** JSON text of the first output: a bare value where it has one element, else a flat array. */
export function predictionText(body: Buffer): string {
  const textBytes = body.readUInt16LE(TEXT_BYTES_AT);
  if (textBytes > 0) return body.toString('latin1', body.length - textBytes);
  const start = body.readUInt32LE(0);
  const bytes = body.subarray(start, start + body.readDoubleLE(START_BYTES + 4));
  const shape = shapeAt(body, START_BYTES);
  const elements = storedElementsAsJson({ datatype: datatypeAt(body, START_BYTES), shape, bytes });
  return inBrackets(elements, shape);
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
