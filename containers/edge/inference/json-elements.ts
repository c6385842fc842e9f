import { halfOfNumber } from '../../../lib/core/half';
import type { Datatype } from '../../../lib/core/manifest';
import { invalidField, ServiceError } from '../errors';

/*
 * Tensor elements out of JSON values. JSON has no NaN and no infinity: for floats the strings "NaN", "Infinity" and
 * "-Infinity" stand for them, as in protobuf's JSON mapping, in answers and in requests alike. A number that a datatype
 * can only hold as infinity is refused.
 */

const NOT_FINITE: ReadonlyMap<unknown, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

/** The least magnitude that rounds to infinity: the largest number and half a step above it. */
const OVERFLOW = {
  FP16: 65520,
  FP32: (2 - 2 ** -24) * 2 ** 127,
  FP64: Number.POSITIVE_INFINITY,
} as const;

type FloatDatatype = keyof typeof OVERFLOW;

/** Reads numbers, rounding to nearest. */
export function readFloats(datatype: 'FP32' | 'FP64') {
  const overflow = OVERFLOW[datatype];
  return (values: readonly unknown[], into: Float32Array | Float64Array, at: number, field: string): void => {
    for (let i = 0; i < values.length; i += 1) {
      const value = values[i];
      if (typeof value === 'number' && value < overflow && value > -overflow) into[at + i] = value;
      else into[at + i] = notFinite(datatype, value, field, i);
    }
  };
}

/** Reads numbers as IEEE 754 binary16 bit patterns, rounding to nearest, ties to even. */
export function readHalves(values: readonly unknown[], into: Uint16Array, at: number, field: string): void {
  const overflow = OVERFLOW.FP16;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    const fits = typeof value === 'number' && value < overflow && value > -overflow;
    into[at + i] = halfOfNumber(fits ? value : notFinite('FP16', value, field, i));
  }
}

function notFinite(datatype: FloatDatatype, value: unknown, field: string, i: number): number {
  const number = NOT_FINITE.get(value);
  if (number !== undefined) return number;
  if (typeof value === 'number') throw invalidField(`${field}[${i}]`, `a number that ${datatype} can hold`, value);
  throw invalidField(`${field}[${i}]`, 'a number, or "NaN", "Infinity" or "-Infinity"', value);
}

type SmallIntegers = Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array;

/** Reads integers of up to 32 bits. */
export function readIntegers(datatype: Datatype, min: number, max: number) {
  return (values: readonly unknown[], into: SmallIntegers, at: number, field: string): void => {
    for (let i = 0; i < values.length; i += 1) {
      const value = values[i];
      if (typeof value !== 'number' || value < min || value > max || Math.trunc(value) !== value) {
        throw invalidField(`${field}[${i}]`, `an integer from ${min} to ${max} (${datatype})`, value);
      }
    }
    // One native copy: storing element by element costs several times as much once many datatypes have been seen.
    into.set(values as readonly number[], at);
  };
}

/** A JSON number beyond 2^53: `JSON.parse` may have rounded it, so that its digits have to be read from the text. */
export class RoundedInteger extends ServiceError {}

const DECIMAL_INTEGER = /^-?\d{1,20}$/;
const WORD = 2 ** 32;

/** Reads 64-bit integers from numbers or decimal strings. Throws `RoundedInteger` for a number beyond 2^53. */
export function readLongIntegers(datatype: 'INT64' | 'UINT64', min: bigint, max: bigint) {
  return (values: readonly unknown[], into: BigInt64Array | BigUint64Array, at: number, field: string): void => {
    const words = new Int32Array(into.buffer, into.byteOffset, into.length * 2);
    for (let i = 0; i < values.length; i += 1) {
      const value = values[i];
      if (typeof value === 'number' && Number.isSafeInteger(value) && (value >= 0 || min < 0n)) {
        // In two words, little-endian, for a bigint an element costs an allocation each.
        words[2 * (at + i)] = value | 0;
        words[2 * (at + i) + 1] = Math.floor(value / WORD);
      } else {
        into[at + i] = longInteger(value, `${field}[${i}]`);
      }
    }
  };

  function longInteger(value: unknown, field: string): bigint {
    if (typeof value === 'string' && DECIMAL_INTEGER.test(value)) {
      const integer = BigInt(value);
      if (integer >= min && integer <= max) return integer;
    }
    if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
      const expected = `written in digits, or as a decimal string, when beyond 2^53 (${datatype})`;
      throw new RoundedInteger('invalid_request', invalidField(field, expected, value).message);
    }
    throw invalidField(field, `an integer from ${min} to ${max} (${datatype})`, value);
  }
}

export function readBooleans(values: readonly unknown[], into: Uint8Array, at: number, field: string): void {
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    if (typeof value !== 'boolean') throw invalidField(`${field}[${i}]`, 'true or false', value);
    into[at + i] = value ? 1 : 0;
  }
}

/** Appends strings. */
export function readStrings(values: readonly unknown[], into: string[], field: string): void {
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    if (typeof value !== 'string') throw invalidField(`${field}[${i}]`, 'a string', value);
    const fault = textFault(value);
    if (fault !== undefined) throw new ServiceError('invalid_request', `${field}[${i}] ${fault}`);
    into.push(value);
  }
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** What keeps ONNX Runtime from getting a text as it is; `undefined` when nothing does. */
export function textFault(text: string): string | undefined {
  // The library's binding hands strings over as C strings, which end at the first NUL, without a word.
  if (text.includes('\0')) return 'has a NUL character (U+0000), at which ONNX Runtime cuts strings';
  if (LONE_SURROGATE.test(text)) return 'has half of a surrogate pair, which UTF-8 cannot carry';
  return undefined;
}
