import type { Datatype } from '../../../lib/core/manifest';
import { invalidField } from '../errors';

/** Row-major elements of a tensor; BOOL is one byte an element (0 or 1), BYTES are strings. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | readonly string[];

/** How one datatype is read from JSON, held in memory and named by ONNX Runtime. */
export interface DatatypeCodec {
  readonly datatype: Datatype;
  /** ONNX Runtime's name of the type. */
  readonly onnxType: string;
  /** True for every datatype that is a number in JSON. */
  readonly numeric: boolean;
  /** Elements from JSON values. Throws a ServiceError naming `field[i]`, the value and what is allowed. */
  parse(values: readonly unknown[], field: string): TensorData;
}

function parseFloats<T extends Float32Array | Float64Array>(
  datatype: Datatype,
  create: (length: number) => T,
): DatatypeCodec['parse'] {
  return (values, field) => {
    const elements = create(values.length);
    for (const [i, value] of values.entries()) {
      if (typeof value !== 'number' || !Number.isFinite(value)) {
        throw invalidField(`${field}[${i}]`, 'a finite number', value);
      }
      elements[i] = value;
      if (!Number.isFinite(elements[i])) {
        throw invalidField(`${field}[${i}]`, `a number that ${datatype} can hold`, value);
      }
    }
    return elements;
  };
}

type SmallIntegers = Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array;

function parseIntegers<T extends SmallIntegers>(
  datatype: Datatype,
  min: number,
  max: number,
  create: (length: number) => T,
): DatatypeCodec['parse'] {
  return (values, field) => {
    const elements = create(values.length);
    for (const [i, value] of values.entries()) {
      if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
        throw invalidField(`${field}[${i}]`, `an integer from ${min} to ${max} (${datatype})`, value);
      }
      elements[i] = value;
    }
    return elements;
  };
}

const DECIMAL_INTEGER = /^-?\d{1,20}$/;

function parseLongIntegers<T extends BigInt64Array | BigUint64Array>(
  datatype: Datatype,
  min: bigint,
  max: bigint,
  create: (length: number) => T,
): DatatypeCodec['parse'] {
  return (values, field) => {
    const elements = create(values.length);
    for (const [i, value] of values.entries()) {
      // A JSON number past 2^53 has already lost digits when it gets here, so only a string can carry it exactly.
      if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
        throw invalidField(`${field}[${i}]`, `a decimal string when beyond 2^53 (${datatype})`, value);
      }
      const readable = typeof value === 'number' ? Number.isInteger(value) : DECIMAL_INTEGER.test(String(value));
      const integer = readable && typeof value !== 'boolean' ? BigInt(value as number | string) : undefined;
      if (integer === undefined || integer < min || integer > max) {
        throw invalidField(`${field}[${i}]`, `an integer from ${min} to ${max} (${datatype})`, value);
      }
      elements[i] = integer;
    }
    return elements;
  };
}

function parseBooleans(values: readonly unknown[], field: string): TensorData {
  return Uint8Array.from(values, (value, i) => {
    if (typeof value !== 'boolean') throw invalidField(`${field}[${i}]`, 'true or false', value);
    return value ? 1 : 0;
  });
}

function parseStrings(values: readonly unknown[], field: string): TensorData {
  return values.map((value, i) => {
    // ONNX Runtime's binding cuts a string at its first NUL without a word.
    if (typeof value !== 'string' || value.includes('\0')) {
      throw invalidField(`${field}[${i}]`, 'a string without NUL characters', value);
    }
    return value;
  });
}

function codec(datatype: Datatype, onnxType: string, parse: DatatypeCodec['parse']): DatatypeCodec {
  return { datatype, onnxType, numeric: datatype !== 'BOOL' && datatype !== 'BYTES', parse };
}

const CODECS: readonly DatatypeCodec[] = [
  codec(
    'FP32',
    'float32',
    parseFloats('FP32', (n) => new Float32Array(n)),
  ),
  codec(
    'FP64',
    'float64',
    parseFloats('FP64', (n) => new Float64Array(n)),
  ),
  codec(
    'INT8',
    'int8',
    parseIntegers('INT8', -(2 ** 7), 2 ** 7 - 1, (n) => new Int8Array(n)),
  ),
  codec(
    'INT16',
    'int16',
    parseIntegers('INT16', -(2 ** 15), 2 ** 15 - 1, (n) => new Int16Array(n)),
  ),
  codec(
    'INT32',
    'int32',
    parseIntegers('INT32', -(2 ** 31), 2 ** 31 - 1, (n) => new Int32Array(n)),
  ),
  codec(
    'UINT8',
    'uint8',
    parseIntegers('UINT8', 0, 2 ** 8 - 1, (n) => new Uint8Array(n)),
  ),
  codec(
    'UINT16',
    'uint16',
    parseIntegers('UINT16', 0, 2 ** 16 - 1, (n) => new Uint16Array(n)),
  ),
  codec(
    'UINT32',
    'uint32',
    parseIntegers('UINT32', 0, 2 ** 32 - 1, (n) => new Uint32Array(n)),
  ),
  codec(
    'INT64',
    'int64',
    parseLongIntegers('INT64', -(2n ** 63n), 2n ** 63n - 1n, (n) => new BigInt64Array(n)),
  ),
  codec(
    'UINT64',
    'uint64',
    parseLongIntegers('UINT64', 0n, 2n ** 64n - 1n, (n) => new BigUint64Array(n)),
  ),
  codec('BOOL', 'bool', parseBooleans),
  codec('BYTES', 'string', parseStrings),
];

/** The codec of a datatype; `undefined` for FP16, which JavaScript on Node 20 has no array for. */
export function codecOf(datatype: Datatype): DatatypeCodec | undefined {
  return CODECS.find((each) => each.datatype === datatype);
}

/** The codec for ONNX Runtime's name of an element type; `undefined` when the service does not serve it. */
export function codecOfOnnxType(onnxType: string): DatatypeCodec | undefined {
  return CODECS.find((each) => each.onnxType === onnxType);
}
