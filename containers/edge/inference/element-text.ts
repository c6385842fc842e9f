import { numberOfHalf } from '../../../lib/core/half';
import type { Datatype } from '../../../lib/core/manifest';
import { isStrings, type TensorData } from './datatypes';

/**
 * JSON text of a tensor's elements, comma-separated. 64-bit integers keep every digit; BOOL becomes `true` and `false`,
 * NaN and infinities strings, since JSON has no other place for them, and negative zero `-0.0`.
 */
export function elementsAsJson(datatype: Datatype, data: TensorData): string {
  if (isStrings(data)) return JSON.stringify(data).slice(1, -1);
  switch (datatype) {
    case 'BOOL':
      return Array.from(data as Uint8Array, (value) => value !== 0).join();
    case 'FP16':
      return floatsAsJson(Float32Array.from(data as Uint16Array, numberOfHalf));
    case 'FP32':
    case 'FP64':
      return floatsAsJson(data as Float32Array | Float64Array);
    case 'INT64':
      return longIntegersAsJson(data as BigInt64Array, -SAFE_HIGH);
    case 'UINT64':
      return longIntegersAsJson(data as BigUint64Array, 0);
    default:
      return (data as Int32Array).join();
  }
}

function floatsAsJson(data: Float32Array | Float64Array): string {
  for (let i = 0; i < data.length; i += 1) {
    const value = data[i] as number;
    if (value - value !== 0 || (value === 0 && 1 / value < 0)) return Array.from(data, floatAsJson).join();
  }
  return data.join();
}

function floatAsJson(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  return Object.is(value, -0) ? '-0.0' : String(value);
}

const WORD = 2 ** 32;
/** High words from `-SAFE_HIGH` up to this one make integers that a double holds exactly. */
const SAFE_HIGH = 2 ** 21;

/** Numbers where they are exact: writing a bigint costs several times as much. */
function longIntegersAsJson(data: BigInt64Array | BigUint64Array, leastSafeHigh: number): string {
  const words = new Int32Array(data.buffer, data.byteOffset, data.length * 2);
  const integers = new Array<number | bigint>(data.length);
  for (let i = 0; i < data.length; i += 1) {
    const high = words[2 * i + 1] as number;
    const isSafe = high >= leastSafeHigh && high < SAFE_HIGH;
    integers[i] = isSafe ? high * WORD + ((words[2 * i] as number) >>> 0) : (data[i] as bigint);
  }
  return integers.join();
}
