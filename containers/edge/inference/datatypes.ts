import { DATATYPES, datatypeOfOnnxType } from '../../../lib/core/datatypes';
import type { Datatype } from '../../../lib/core/manifest';
import { readBooleans, readFloats, readHalves, readIntegers, readLongIntegers, readStrings } from './json-elements';

/** Row-major elements that are numbers; BOOL is one byte an element (0 or 1), FP16 the bit pattern in a `Uint16Array`. */
export type NumericData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Row-major elements of a tensor; BYTES are strings. */
export type TensorData = NumericData | readonly string[];

/** How one datatype is read from JSON, held in memory and named by ONNX Runtime. */
export interface DatatypeCodec {
  readonly datatype: Datatype;
  /** ONNX Runtime's name of the type. */
  readonly onnxType: string;
  /** True for every datatype that is a number in JSON. */
  readonly numeric: boolean;
  /** Bytes of one element; `undefined` for BYTES. */
  readonly bytes: number | undefined;
  /** Elements from JSON values. Throws a ServiceError naming `field[i]`, the value and what is allowed. */
  parse(values: readonly unknown[], field: string): TensorData;
  /** As `parse`, for values that lie in several arrays, which are read in order. */
  parseRows(rows: readonly JsonRow[], count: number): TensorData;
  /** The elements in row-major little-endian bytes: a view of them where they are aligned, else a copy. Not for BYTES. */
  view(bytes: Uint8Array): NumericData;
}

/** JSON values that follow each other, and how an error names them: `field[i]`. */
export interface JsonRow {
  readonly values: readonly unknown[];
  readonly field: string;
}

/** Reads JSON values into `into` from `at` on. Throws a ServiceError naming `field[i]`. */
export type ReadElements<T> = (values: readonly unknown[], into: T, at: number, field: string) => void;

interface NumericArray<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): T;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
}

function numericCodec<T extends NumericData>(
  datatype: Datatype,
  Elements: NumericArray<T>,
  read: ReadElements<T>,
): DatatypeCodec {
  const parseRows: DatatypeCodec['parseRows'] = (rows, count) => {
    const elements = new Elements(count);
    let at = 0;
    for (const { values, field } of rows) {
      read(values, elements, at, field);
      at += values.length;
    }
    return elements;
  };
  return {
    datatype,
    ...DATATYPES[datatype],
    parseRows,
    parse: (values, field) => parseRows([{ values, field }], values.length),
    view: (bytes) => {
      const width = Elements.BYTES_PER_ELEMENT;
      const { buffer, byteOffset } = bytes.byteOffset % width === 0 ? bytes : copyOf(bytes);
      return new Elements(buffer, byteOffset, bytes.length / width);
    },
  };
}

function copyOf(bytes: Uint8Array): Uint8Array {
  // Not `slice`, which a Buffer answers with a view of the same memory. Node's pool, which small copies come from, gives
  // out multiples of 8 bytes, and nothing is filled with zeros first.
  const copy = Buffer.allocUnsafe(bytes.length);
  copy.set(bytes);
  return copy;
}

function stringCodec(): DatatypeCodec {
  const parseRows: DatatypeCodec['parseRows'] = (rows) => {
    const elements: string[] = [];
    for (const { values, field } of rows) readStrings(values, elements, field);
    return elements;
  };
  return {
    datatype: 'BYTES',
    ...DATATYPES.BYTES,
    parseRows,
    parse: (values, field) => parseRows([{ values, field }], values.length),
    view: () => {
      throw new Error('BYTES have no fixed size');
    },
  };
}

const CODECS: Readonly<Record<Datatype, DatatypeCodec>> = {
  BOOL: numericCodec('BOOL', Uint8Array, readBooleans),
  UINT8: numericCodec('UINT8', Uint8Array, readIntegers('UINT8', 0, 2 ** 8 - 1)),
  UINT16: numericCodec('UINT16', Uint16Array, readIntegers('UINT16', 0, 2 ** 16 - 1)),
  UINT32: numericCodec('UINT32', Uint32Array, readIntegers('UINT32', 0, 2 ** 32 - 1)),
  UINT64: numericCodec('UINT64', BigUint64Array, readLongIntegers('UINT64', 0n, 2n ** 64n - 1n)),
  INT8: numericCodec('INT8', Int8Array, readIntegers('INT8', -(2 ** 7), 2 ** 7 - 1)),
  INT16: numericCodec('INT16', Int16Array, readIntegers('INT16', -(2 ** 15), 2 ** 15 - 1)),
  INT32: numericCodec('INT32', Int32Array, readIntegers('INT32', -(2 ** 31), 2 ** 31 - 1)),
  INT64: numericCodec('INT64', BigInt64Array, readLongIntegers('INT64', -(2n ** 63n), 2n ** 63n - 1n)),
  FP16: numericCodec('FP16', Uint16Array, readHalves),
  FP32: numericCodec('FP32', Float32Array, readFloats('FP32')),
  FP64: numericCodec('FP64', Float64Array, readFloats('FP64')),
  BYTES: stringCodec(),
};

/** The codec of a datatype. */
export function codecOf(datatype: Datatype): DatatypeCodec {
  return CODECS[datatype];
}

/** The codec for ONNX Runtime's name of an element type; `undefined` when the protocol has no datatype for it. */
export function codecOfOnnxType(onnxType: string): DatatypeCodec | undefined {
  const datatype = datatypeOfOnnxType(onnxType);
  return datatype === undefined ? undefined : CODECS[datatype];
}

/** Whether elements are strings. */
export function isStrings(data: TensorData): data is readonly string[] {
  return Array.isArray(data);
}
