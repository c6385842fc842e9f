import type { Datatype, TensorSpec, TensorValue } from '../../../lib/core/manifest';
import { invalidField, ServiceError } from '../errors';
import { codecOf, type TensorData } from './datatypes';

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

/** Whether a concrete shape is one that a spec allows. */
export function shapeFits(shape: readonly number[], spec: TensorSpec): boolean {
  return (
    shape.length === spec.shape.length &&
    spec.shape.every((axis, i) => axis === -1 || axis === shape[i]) &&
    shape.every((axis) => Number.isInteger(axis) && axis > 0)
  );
}

/** A tensor from JSON values, flat or nested by its shape. Throws a ServiceError that names `field`. */
export function parseTensor(spec: TensorSpec, shape: readonly number[], values: unknown, field: string): Tensor {
  const codec = codecOf(spec.datatype);
  if (codec === undefined) {
    throw new ServiceError('invalid_request', `${field}: datatype ${spec.datatype} is not served over JSON`);
  }
  const data = codec.parse(flatten(values, shape, field), field);
  return { name: spec.name, datatype: spec.datatype, shape, data };
}

function flatten(values: unknown, shape: readonly number[], field: string): readonly unknown[] {
  const wanted = elementCount(shape);
  if (!Array.isArray(values)) throw invalidField(field, `an array of ${wanted} elements`, values);
  if (shape.length > 1 && Array.isArray(values[0])) {
    const flat: unknown[] = [];
    collect(values, shape, field, flat);
    return flat;
  }
  if (values.length !== wanted) {
    throw new ServiceError(
      'invalid_request',
      `${field} must have ${wanted} elements for shape [${shape.join(',')}], got ${values.length}`,
    );
  }
  return values;
}

function collect(values: unknown, axes: readonly number[], field: string, into: unknown[]): void {
  const [length, ...inner] = axes;
  if (length === undefined) {
    into.push(values);
    return;
  }
  if (!Array.isArray(values) || values.length !== length) {
    const got = Array.isArray(values) ? `${values.length}` : typeof values;
    throw new ServiceError('invalid_request', `${field} must be an array of ${length} elements, got ${got}`);
  }
  for (const [i, value] of values.entries()) collect(value, inner, `${field}[${i}]`, into);
}

/** A tensor as a manifest writes it. Throws when the value contradicts its own datatype or shape. */
export function fromTensorValue(value: TensorValue): Tensor {
  return parseTensor(value, value.shape, value.data, value.name);
}

/** Tensors of equal inner shape joined along axis 0, in order. */
export function concatenate(parts: readonly [Tensor, ...Tensor[]]): Tensor {
  const [first] = parts;
  const rows = parts.reduce((sum, part) => sum + (part.shape[0] ?? 1), 0);
  const shape = [rows, ...first.shape.slice(1)];
  if (isStrings(first.data)) return { ...first, shape, data: parts.flatMap((part) => [...part.data] as string[]) };
  const joined = Buffer.concat(parts.map((part) => tensorBytes(part)));
  return { ...first, shape, data: viewAs(first.data, joined) };
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

/** Little-endian bytes of a tensor's elements; strings are each preceded by their UTF-8 length in 4 bytes. */
export function tensorBytes(tensor: Tensor): Buffer {
  if (!isStrings(tensor.data)) return Buffer.from(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  const pieces: Buffer[] = [];
  for (const text of tensor.data) {
    const bytes = Buffer.from(text, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    pieces.push(length, bytes);
  }
  return Buffer.concat(pieces);
}

/**
 * JSON text of a tensor's elements, comma-separated. 64-bit integers keep every digit; BOOL becomes `true` and `false`,
 * NaN and infinities strings.
 */
export function tensorElementsAsJson(tensor: Tensor): string {
  const isBool = tensor.datatype === 'BOOL';
  return Array.from<string | number | bigint>(tensor.data)
    .map((value) => (isBool ? String(value !== 0) : elementAsJson(value)))
    .join(',');
}

function elementAsJson(value: string | number | bigint): string {
  if (typeof value === 'string') return JSON.stringify(value);
  // JSON has no NaN or Infinity; protobuf's JSON mapping, which the protocol's gRPC gateways use, writes strings.
  if (typeof value === 'number' && !Number.isFinite(value)) return `"${value}"`;
  return String(value);
}

function isStrings(data: TensorData): data is readonly string[] {
  return Array.isArray(data);
}

type NumericData = Exclude<TensorData, readonly string[]>;

function viewAs(like: NumericData, bytes: Buffer): NumericData {
  const View = like.constructor as new (buffer: ArrayBuffer) => NumericData;
  // Buffer.concat may answer from a shared pool at any offset; a typed array needs its own aligned memory.
  return new View(Uint8Array.from(bytes).buffer);
}
