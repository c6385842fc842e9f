import fc from 'fast-check';
import type { Tensor } from '../../containers/edge/inference/tensors';
import { numberOfHalf } from '../../lib/core/half';
import type { Datatype } from '../../lib/core/manifest';

/** Text that ONNX Runtime's binding can carry: no NUL, no half of a surrogate pair. */
export const carriedText = fc
  .string({ unit: 'binary', maxLength: 12 })
  .filter((text) => !/\0|\p{Surrogate}/u.test(text));

type Make = (count: number) => fc.Arbitrary<Tensor['data']>;

const exactly = (count: number) => ({ minLength: count, maxLength: count });

const DATA: Readonly<Record<Datatype, Make>> = {
  BOOL: (count) => fc.uint8Array({ ...exactly(count), max: 1 }),
  UINT8: (count) => fc.uint8Array(exactly(count)),
  UINT16: (count) => fc.uint16Array(exactly(count)),
  UINT32: (count) => fc.uint32Array(exactly(count)),
  UINT64: (count) => fc.bigUint64Array(exactly(count)),
  INT8: (count) => fc.int8Array(exactly(count)),
  INT16: (count) => fc.int16Array(exactly(count)),
  INT32: (count) => fc.int32Array(exactly(count)),
  INT64: (count) => fc.bigInt64Array(exactly(count)),
  FP16: (count) => fc.uint16Array(exactly(count)).map((bits) => bits.map(oneNaN)),
  FP32: (count) => fc.float32Array(exactly(count)),
  FP64: (count) => fc.float64Array(exactly(count)),
  BYTES: (count) => fc.array(carriedText, exactly(count)),
};

/** JSON has one NaN. */
function oneNaN(bits: number): number {
  return Number.isNaN(numberOfHalf(bits)) ? 0x7e00 : bits;
}

/** Shapes of up to 12 elements, scalars and empty ones among them. */
export const smallShape = fc
  .array(fc.nat({ max: 3 }), { maxLength: 3 })
  .filter((shape) => shape.reduce((product, axis) => product * axis, 1) <= 12);

/** Any tensor of a datatype and shape. */
export function tensorOf(datatype: Datatype, shape: readonly number[], name = 'x'): fc.Arbitrary<Tensor> {
  const count = shape.reduce((product, axis) => product * axis, 1);
  return DATA[datatype](count).map((data) => ({ name, datatype, shape, data }));
}
