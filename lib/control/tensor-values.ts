import { Tensor } from 'onnxruntime-node';
import { DATATYPES } from '../core/datatypes';
import { halfOfNumber, numberOfHalf } from '../core/half';
import type { Datatype, TensorValue } from '../core/manifest';
import { ControlError } from './errors';

type Element = TensorValue['data'][number];

/** Elements of a golden sample as ONNX Runtime takes them. */
const ELEMENTS: Readonly<Record<Datatype, (data: readonly Element[]) => Tensor.DataType>> = {
  BOOL: (data) => Uint8Array.from(data, Number),
  UINT8: (data) => Uint8Array.from(data, Number),
  UINT16: (data) => Uint16Array.from(data, Number),
  UINT32: (data) => Uint32Array.from(data, Number),
  UINT64: (data) => BigUint64Array.from(data, BigInt),
  INT8: (data) => Int8Array.from(data, Number),
  INT16: (data) => Int16Array.from(data, Number),
  INT32: (data) => Int32Array.from(data, Number),
  INT64: (data) => BigInt64Array.from(data, BigInt),
  FP16: (data) => Uint16Array.from(data, (element) => halfOfNumber(Number(element))),
  FP32: (data) => Float32Array.from(data, Number),
  FP64: (data) => Float64Array.from(data, Number),
  BYTES: (data) => data.map(String),
};

/**
 * Makes the tensor that a golden sample describes.
 * @throws ControlError when the elements do not fill the shape
 */
export function asTensor({ name, datatype, shape, data }: TensorValue): Tensor {
  const size = shape.reduce((product, axis) => product * axis, 1);
  if (data.length !== size) {
    throw new ControlError(`${name} of shape [${shape.join(', ')}] needs ${size} elements, got ${data.length}`);
  }
  // The types of the constructor name one pair of element type and array each; the tables agree on the pairs.
  return new Tensor(DATATYPES[datatype].onnxType as 'float32', ELEMENTS[datatype](data) as Float32Array, shape);
}

/** Elements of a tensor as JSON has them; BOOL as booleans, 64-bit integers as bigints, FP16 as numbers. */
export function elementsOf(tensor: Tensor): readonly (number | bigint | string | boolean)[] {
  if (tensor.type === 'bool') return Array.from(tensor.data, Boolean);
  if (tensor.type === 'float16') return Array.from(bitsOf(tensor.data as Uint16Array), numberOfHalf);
  return Array.from<number | bigint | string>(tensor.data);
}

/** Bit patterns: from Node 24 on, ONNX Runtime gives a `Float16Array` instead. */
function bitsOf({ buffer, byteOffset, length }: Uint16Array): Uint16Array {
  return new Uint16Array(buffer, byteOffset, length);
}
