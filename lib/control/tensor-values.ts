import { Tensor } from 'onnxruntime-node';
import type { Datatype, TensorValue } from '../core/manifest';
import { ControlError } from './errors';

type Element = TensorValue['data'][number];

/** How one datatype of the Open Inference Protocol becomes a tensor of ONNX Runtime. */
interface Conversion {
  readonly datatype: Datatype;
  readonly onnxType: string;
  readonly create: (data: readonly Element[], dims: readonly number[]) => Tensor;
}

const CONVERSIONS: readonly Conversion[] = [
  numeric('FP32', 'float32', (data) => Float32Array.from(data, Number)),
  numeric('FP64', 'float64', (data) => Float64Array.from(data, Number)),
  numeric('INT8', 'int8', (data) => Int8Array.from(data, Number)),
  numeric('INT16', 'int16', (data) => Int16Array.from(data, Number)),
  numeric('INT32', 'int32', (data) => Int32Array.from(data, Number)),
  numeric('INT64', 'int64', (data) => BigInt64Array.from(data, BigInt)),
  numeric('UINT8', 'uint8', (data) => Uint8Array.from(data, Number)),
  numeric('UINT16', 'uint16', (data) => Uint16Array.from(data, Number)),
  numeric('UINT32', 'uint32', (data) => Uint32Array.from(data, Number)),
  numeric('UINT64', 'uint64', (data) => BigUint64Array.from(data, BigInt)),
  { datatype: 'BOOL', onnxType: 'bool', create: (data, dims) => new Tensor('bool', data.map(Boolean), dims) },
  { datatype: 'BYTES', onnxType: 'string', create: (data, dims) => new Tensor('string', data.map(String), dims) },
];

type Numbers = Exclude<Tensor.DataType, string[]>;

function numeric<T extends Exclude<Tensor.Type, 'string' | 'bool'>>(
  datatype: Datatype,
  onnxType: T,
  parse: (data: readonly Element[]) => Numbers & Tensor.DataTypeMap[T],
): Conversion {
  return { datatype, onnxType, create: (data, dims) => new Tensor(onnxType, parse(data), dims) };
}

/** Datatype of an ONNX Runtime element type; `undefined` for one that the service does not carry. */
export function datatypeOf(onnxType: string): Datatype | undefined {
  return CONVERSIONS.find((conversion) => conversion.onnxType === onnxType)?.datatype;
}

/**
 * Makes the tensor that a golden sample describes.
 * @throws ControlError when the datatype is not carried or the elements do not fill the shape
 */
export function asTensor({ name, datatype, shape, data }: TensorValue): Tensor {
  const conversion = CONVERSIONS.find((candidate) => candidate.datatype === datatype);
  if (conversion === undefined)
    throw new ControlError(`${name} has datatype ${datatype}, which the service cannot carry`);
  const size = shape.reduce((product, axis) => product * axis, 1);
  if (data.length !== size) {
    throw new ControlError(`${name} of shape [${shape.join(', ')}] needs ${size} elements, got ${data.length}`);
  }
  return conversion.create(data, shape);
}

/** Elements of a tensor as JSON has them; BOOL as booleans, 64-bit integers as bigints. */
export function elementsOf(tensor: Tensor): readonly (number | bigint | string | boolean)[] {
  if (tensor.type === 'bool') return Array.from(tensor.data, Boolean);
  return Array.from<number | bigint | string>(tensor.data);
}
