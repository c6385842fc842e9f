import { numberOfHalf } from '../../../lib/core/half';
import type { Datatype, TensorSpec, TensorValue } from '../../../lib/core/manifest';
import { invalidField, ServiceError } from '../errors';
import { writeBinaryStrings } from './binary-elements';
import { codecOf, isStrings, type JsonRow, type NumericData, type TensorData } from './datatypes';

/** A named tensor in memory. */
export interface Tensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** Elements that a concrete shape holds; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, axis) => product * axis, 1);
}

/** More elements along one axis than any request could carry. */
const MAX_AXIS = 2 ** 31 - 1;

/** Whether two shapes are the same. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis += 1) if (a[axis] !== b[axis]) return false;
  return true;
}

/** Whether a concrete shape is one that a spec allows; an axis may have no elements at all. */
export function shapeFits(shape: readonly number[], spec: TensorSpec): boolean {
  return (
    shape.length === spec.shape.length &&
    spec.shape.every((axis, i) => axis === -1 || axis === shape[i]) &&
    shape.every((axis) => Number.isInteger(axis) && axis >= 0 && axis <= MAX_AXIS)
  );
}

/**
 * A tensor from JSON values, flat or nested by its shape; a scalar may stand bare. Throws a ServiceError that names
 * `field`. Nothing is allocated for a shape that the values do not fill.
 */
export function parseTensor(spec: TensorSpec, shape: readonly number[], values: unknown, field: string): Tensor {
  const rows = rowsOf(values, shape, field);
  const data = codecOf(spec.datatype).parseRows(rows, elementCount(shape));
  return { name: spec.name, datatype: spec.datatype, shape, data };
}

/** The innermost arrays of JSON tensor data, which together hold as many values as the shape. */
function rowsOf(values: unknown, shape: readonly number[], field: string): JsonRow[] {
  if (shape.length === 0 && !Array.isArray(values) && values !== undefined) return [{ values: [values], field }];
  const wanted = elementCount(shape);
  if (!Array.isArray(values)) throw invalidField(field, `an array of ${wanted} elements`, values);
  if (shape.length > 1 && Array.isArray(values[0])) {
    const rows: JsonRow[] = [];
    collectRows(values, shape, 0, field, rows);
    return rows;
  }
  if (values.length !== wanted) {
    throw new ServiceError(
      'invalid_request',
      `${field} must have ${wanted} elements for shape [${shape.join(',')}], got ${values.length}`,
    );
  }
  return [{ values, field }];
}

function collectRows(values: unknown, shape: readonly number[], axis: number, field: string, into: JsonRow[]): void {
  const length = shape[axis];
  if (!Array.isArray(values) || values.length !== length) {
    const got = Array.isArray(values) ? `${values.length}` : typeof values;
    throw new ServiceError('invalid_request', `${field} must be an array of ${length} elements, got ${got}`);
  }
  if (axis === shape.length - 1) {
    into.push({ values, field });
    return;
  }
  for (let i = 0; i < values.length; i += 1) collectRows(values[i], shape, axis + 1, `${field}[${i}]`, into);
}

/** A tensor as a manifest writes it. Throws when the value contradicts its own datatype or shape. */
export function fromTensorValue(value: TensorValue): Tensor {
  return parseTensor(value, value.shape, value.data, value.name);
}

/** Elements as they compare with those of a manifest: FP16 as numbers, BOOL as 0 or 1, 64-bit integers as bigints. */
export function elementsOf({ datatype, data }: Tensor): ArrayLike<number | bigint | string> {
  return datatype === 'FP16' ? Float32Array.from(data as Uint16Array, numberOfHalf) : data;
}

/** Tensors of equal inner shape joined along axis 0, in order. */
export function concatenate(parts: readonly [Tensor, ...Tensor[]]): Tensor {
  const [first] = parts;
  const rows = parts.reduce((sum, part) => sum + (part.shape[0] ?? 1), 0);
  const shape = [rows, ...first.shape.slice(1)];
  if (isStrings(first.data)) return { ...first, shape, data: parts.flatMap((part) => [...part.data] as string[]) };
  const Elements = first.data.constructor as new (length: number) => Float32Array;
  const data = new Elements(parts.reduce((sum, part) => sum + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data as Float32Array, at);
    at += part.data.length;
  }
  return { ...first, shape, data };
}

/** The `rows` tensors of one row each that a tensor holds along axis 0. */
export function splitRows(tensor: Tensor): Tensor[] {
  const rows = tensor.shape[0] ?? 1;
  const shape = [1, ...tensor.shape.slice(1)];
  const width = elementCount(shape);
  return Array.from({ length: rows }, (_, row) => ({
    ...tensor,
    shape,
    data: tensor.data.slice(row * width, (row + 1) * width),
  }));
}

/** Binary tensor data of a tensor: a view of its elements, little-endian; strings each behind their UTF-8 length. */
export function tensorBytes({ data }: { readonly data: TensorData }): Buffer {
  return isStrings(data) ? writeBinaryStrings(data) : bytesOf(data);
}

function bytesOf({ buffer, byteOffset, byteLength }: NumericData): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
