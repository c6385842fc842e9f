import { isUtf8 } from 'node:buffer';
import type { Datatype } from '../../../lib/core/manifest';
import { invalidField, ServiceError } from '../errors';
import { codecOf, type TensorData } from './datatypes';
import { textFault } from './json-elements';

/*
 * Tensor elements as the binary tensor data extension writes them: row-major, little-endian, without padding; BOOL one
 * byte of 0 or 1; BYTES each behind its length in 4 bytes.
 * https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
 */

const LENGTH_BYTES = 4;

/**
 * The `count` elements of binary tensor data, as a view of `bytes` where they are aligned. Throws a ServiceError that
 * names `field` when the bytes are not as many, or not what the datatype allows.
 */
export function readBinaryElements(datatype: Datatype, bytes: Buffer, count: number, field: string): TensorData {
  const codec = codecOf(datatype);
  if (codec.bytes === undefined) {
    return splitBinaryStrings(bytes, count, field).map((element, i) => readText(element, `${field}: element ${i}`));
  }
  if (bytes.length !== count * codec.bytes) {
    const expected = `${count * codec.bytes} (${count} elements of ${datatype})`;
    throw invalidField(`${field}.parameters.binary_data_size`, expected, bytes.length);
  }
  if (datatype === 'BOOL') checkBooleans(bytes, field);
  return codec.view(bytes);
}

function checkBooleans(bytes: Buffer, field: string): void {
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i] as number;
    if (byte > 1)
      throw new ServiceError('invalid_request', `${field}: byte ${i} of a BOOL must be 0 or 1, got ${byte}`);
  }
}

/** The `count` elements of binary BYTES, as views. Throws a ServiceError that names `field` when they are not as many. */
export function splitBinaryStrings(bytes: Buffer, count: number, field: string): Buffer[] {
  const elements: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    const start = at + LENGTH_BYTES;
    const end = start <= bytes.length ? start + bytes.readUInt32LE(at) : Number.POSITIVE_INFINITY;
    if (end > bytes.length) {
      throw new ServiceError(
        'invalid_request',
        `${field}: element ${elements.length} of BYTES must be a length in 4 bytes and that many bytes, ` +
          `got ${bytes.length - at} bytes in all`,
      );
    }
    elements.push(bytes.subarray(start, end));
    at = end;
  }
  if (elements.length === count) return elements;
  throw new ServiceError('invalid_request', `${field} must have ${count} elements of BYTES, got ${elements.length}`);
}

/** Bytes as a text that ONNX Runtime gets unchanged. Throws a ServiceError that names `field` when there is none. */
export function readText(bytes: Buffer, field: string): string {
  // The library's binding takes JavaScript strings, which hold text, not bytes.
  if (!isUtf8(bytes)) throw new ServiceError('invalid_request', `${field} must be UTF-8`);
  const text = bytes.toString('utf8');
  const fault = textFault(text);
  if (fault !== undefined) throw new ServiceError('invalid_request', `${field} ${fault}`);
  return text;
}

/** Binary tensor data of strings. */
export function writeBinaryStrings(strings: readonly string[]): Buffer {
  const lengths = strings.map((text) => Buffer.byteLength(text));
  const bytes = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + LENGTH_BYTES + length, 0));
  let at = 0;
  for (const [i, text] of strings.entries()) {
    bytes.writeUInt32LE(lengths[i] as number, at);
    at += LENGTH_BYTES + bytes.write(text, at + LENGTH_BYTES);
  }
  return bytes;
}
