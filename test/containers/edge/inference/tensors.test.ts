import fc from 'fast-check';
import { quoteLongIntegers } from '../../../../containers/edge/http/v2/exact-integers';
import { readBinaryElements } from '../../../../containers/edge/inference/binary-elements';
import { codecOf } from '../../../../containers/edge/inference/datatypes';
import { elementsAsJson } from '../../../../containers/edge/inference/element-text';
import {
  concatenate,
  elementCount,
  elementsOf,
  parseTensor,
  splitRows,
  type Tensor,
  tensorBytes,
} from '../../../../containers/edge/inference/tensors';
import { Datatype } from '../../../../lib/core/manifest';
import { smallShape, tensorOf } from '../../../support/tensor-arbitraries';

const textOf = ({ datatype, data }: Tensor) => elementsAsJson(datatype, data);
const IS_LONG: readonly Datatype[] = ['INT64', 'UINT64'];

const parse = (datatype: Datatype, data: unknown, shape: readonly number[] = [2]) =>
  parseTensor({ name: 'x', datatype, shape: [...shape] }, shape, data, 'x');

describe('tensors and JSON', () => {
  it.each<[Datatype, unknown[], string]>([
    ['BOOL', [true, false], 'true,false'],
    ['UINT8', [0, 255], '0,255'],
    ['INT32', [-(2 ** 31), 2 ** 31 - 1], '-2147483648,2147483647'],
    ['INT64', ['-9223372036854775808', 7], '-9223372036854775808,7'],
    ['UINT64', ['18446744073709551615', 0], '18446744073709551615,0'],
    ['FP64', [0.1, -1e300], '0.1,-1e+300'],
    ['FP64', ['NaN', '-Infinity'], '"NaN","-Infinity"'],
    ['FP32', [-0, 0], '-0.0,0'],
    ['FP32', [3.4028235677973362e38, -3.4028235677973362e38], '3.4028234663852886e+38,-3.4028234663852886e+38'],
    ['FP16', [0.1, 65519.99], '0.0999755859375,65504'],
    ['FP16', ['Infinity', 5e-8], '"Infinity",5.960464477539063e-8'],
    ['BYTES', ['é"', ''], '"é\\"",""'],
  ])('carry %s exactly', (datatype, data, text) => {
    expect(textOf(parse(datatype, data))).toBe(text);
  });

  it('write NaN and infinities as strings, which JSON can hold', () => {
    const data = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
    expect(elementsAsJson('FP32', data)).toBe('"NaN","Infinity","-Infinity"');
  });

  it.each<[Datatype, unknown, string]>([
    ['BOOL', 1, 'x[1] must be true or false, got 1'],
    ['UINT8', 256, 'x[1] must be an integer from 0 to 255 (UINT8), got 256'],
    ['INT8', -129, 'x[1] must be an integer from -128 to 127 (INT8), got -129'],
    [
      'INT64',
      2 ** 53,
      'x[1] must be written in digits, or as a decimal string, when beyond 2^53 (INT64), got 9007199254740992',
    ],
    ['FP16', 65520, 'x[1] must be a number that FP16 can hold, got 65520'],
    ['FP32', 3.4028235677973366e38, 'x[1] must be a number that FP32 can hold, got 3.4028235677973366e+38'],
    ['FP64', Number.POSITIVE_INFINITY, 'x[1] must be a number that FP64 can hold, got Infinity'],
    ['FP64', 'inf', 'x[1] must be a number, or "NaN", "Infinity" or "-Infinity", got "inf"'],
    ['FP32', null, 'x[1] must be a number, or "NaN", "Infinity" or "-Infinity", got null'],
    ['INT32', '1', 'x[1] must be an integer from -2147483648 to 2147483647 (INT32), got "1"'],
    ['UINT16', 'NaN', 'x[1] must be an integer from 0 to 65535 (UINT16), got "NaN"'],
    ['INT64', true, 'x[1] must be an integer from -9223372036854775808 to 9223372036854775807 (INT64), got true'],
    ['UINT64', '-1', 'x[1] must be an integer from 0 to 18446744073709551615 (UINT64), got "-1"'],
    ['BYTES', 'a\0b', 'x[1] has a NUL character (U+0000), at which ONNX Runtime cuts strings'],
    ['BYTES', '\ud800', 'x[1] has half of a surrogate pair, which UTF-8 cannot carry'],
    ['BYTES', 1, 'x[1] must be a string, got 1'],
  ])('refuse in %s the value %j', (datatype, value, message) => {
    const good = codecOf(datatype)?.numeric === true ? 0 : datatype === 'BOOL' ? false : '';
    expect(() => parse(datatype, [good, value])).toThrow(message);
  });

  it.each(Datatype.options)('say the same of %s in JSON, flat or nested, and as binary data', (datatype) => {
    fc.assert(
      fc.property(
        smallShape.chain((shape) => tensorOf(datatype, shape)),
        (tensor) => {
          const { shape } = tensor;
          const flat = `[${textOf(tensor)}]`;
          const values: unknown[] = JSON.parse(IS_LONG.includes(datatype) ? quoteLongIntegers(flat) : flat);
          const read = (json: unknown) =>
            parseTensor({ name: 'x', datatype, shape: [...shape] }, shape, json, 'x').data;
          expect(read(values)).toEqual(tensor.data);
          expect(read(nested(values, shape))).toEqual(tensor.data);
          expect(readBinaryElements(datatype, tensorBytes(tensor), elementCount(shape), 'x')).toEqual(tensor.data);
        },
      ),
    );
  });

  it('read binary data at any alignment', () => {
    const bytes = Buffer.from(Float64Array.of(1.5, -2).buffer);
    for (let offset = 0; offset < 8; offset += 1) {
      const moved = Buffer.concat([Buffer.alloc(offset), bytes]).subarray(offset);
      expect(readBinaryElements('FP64', moved, 2, 'x')).toEqual(Float64Array.of(1.5, -2));
    }
  });

  it('compare FP16 by its value', () => {
    expect(Array.from(elementsOf(parse('FP16', [1.5, -2])))).toEqual([1.5, -2]);
  });

  it.each<[Datatype, unknown[], unknown[]]>([
    ['FP16', [1.5, 2], [3, 4]],
    ['INT64', [1, 2], [3, 4]],
    ['FP32', [1.5, 2], [3, 4]],
    ['BYTES', ['a', 'b'], ['c', 'd']],
  ])('join and split rows of %s', (datatype, first, second) => {
    const rows = [parse(datatype, first, [1, 2]), parse(datatype, second, [1, 2])] as const;
    const joined = concatenate(rows);
    expect(joined.shape).toEqual([2, 2]);
    expect(splitRows(joined).map(textOf)).toEqual(rows.map(textOf));
  });
});

/** JSON values nested by a shape, as `numpy.ndarray.tolist` writes them. */
function nested(values: readonly unknown[], shape: readonly number[]): unknown {
  const [length, ...inner] = shape;
  if (length === undefined) return values[0];
  const width = elementCount(inner);
  return Array.from({ length }, (_, i) => nested(values.slice(i * width, (i + 1) * width), inner));
}
