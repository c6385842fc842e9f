import type { TensorSpec } from '../../../lib/core/manifest';
import { elementCount, parseTensor, type Tensor } from './tensors';

/** Lengths tried for dynamic axes other than the first: 1, then what windows, sequences and images come in. */
const LENGTHS: readonly number[] = [1, 2, 3, 8, 16, 32, 64, 128, 224, 256, 512];

/** Elements of one synthetic input at most: trials must not take the memory of the process. */
const MAX_ELEMENTS = 4_000_000;

/**
 * Inputs by which a model without golden samples is tried, the likeliest to run first. Nobody knows which inputs make
 * sense to it, so axes and values are varied: zeros, ones and a mixture of small values.
 */
export function* syntheticInputs(specs: readonly TensorSpec[]): Generator<Tensor[]> {
  const tried = new Set<string>();
  for (const length of LENGTHS) {
    for (const lengthsOf of [
      (spec: TensorSpec) => lastAxisOf(spec, length),
      (spec: TensorSpec) => allAxesOf(spec, length),
    ]) {
      const shapes = specs.map(lengthsOf);
      if (shapes.some((shape) => elementCount(shape) > MAX_ELEMENTS)) continue;
      if (tried.has(JSON.stringify(shapes))) continue;
      tried.add(JSON.stringify(shapes));
      for (const row of [0, 1, 2]) {
        yield specs.map((spec, i) => syntheticTensor(spec, shapes[i] ?? [], row));
      }
    }
  }
}

/** A tensor for trials. Values differ from one `row` to the next: 0 gives zeros, 1 ones, others a mixture of both signs. */
export function syntheticTensor(spec: TensorSpec, shape: readonly number[], row: number): Tensor {
  const values = Array.from({ length: elementCount(shape) }, (_, i) => jsonValue(spec, valueAt(spec, row, i)));
  return parseTensor(spec, shape, values, spec.name);
}

function lastAxisOf(spec: TensorSpec, length: number): number[] {
  const last = spec.shape.length - 1;
  return spec.shape.map((axis, i) => (axis !== -1 ? axis : i > 0 && i === last ? length : 1));
}

function allAxesOf(spec: TensorSpec, length: number): number[] {
  return spec.shape.map((axis, i) => (axis !== -1 ? axis : i === 0 ? 1 : length));
}

/** Floats get fractions of both signs; integers, which may be indexes into a table of two, only 0 and 1. */
function valueAt({ datatype }: TensorSpec, row: number, i: number): number {
  if (row < 2) return row;
  const mixed = ((i + 1) * (2 * row + 1)) % 17;
  return datatype.startsWith('FP') ? (mixed - 8) / 8 : mixed % 2;
}

function jsonValue({ datatype }: TensorSpec, value: number): number | string | boolean {
  if (datatype === 'BYTES') return String(value);
  return datatype === 'BOOL' ? value === 1 : value;
}
