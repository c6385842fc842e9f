import { codecOf } from '../../../../containers/edge/inference/datatypes';
import {
  concatenate,
  parseTensor,
  splitRows,
  tensorElementsAsJson,
} from '../../../../containers/edge/inference/tensors';
import type { Datatype } from '../../../../lib/core/manifest';

const parse = (datatype: Datatype, data: unknown, shape = [2]) =>
  parseTensor({ name: 'x', datatype, shape }, shape, data, 'x');

describe('tensors and JSON', () => {
  it.each<[Datatype, unknown[], string]>([
    ['BOOL', [true, false], 'true,false'],
    ['UINT8', [0, 255], '0,255'],
    ['INT32', [-(2 ** 31), 2 ** 31 - 1], '-2147483648,2147483647'],
    ['INT64', ['-9223372036854775808', 7], '-9223372036854775808,7'],
    ['UINT64', ['18446744073709551615', 0], '18446744073709551615,0'],
    ['FP64', [0.1, -1e300], '0.1,-1e+300'],
    ['BYTES', ['é"', ''], '"é\\"",""'],
  ])('carry %s exactly', (datatype, data, text) => {
    expect(tensorElementsAsJson(parse(datatype, data))).toBe(text);
  });

  it('write NaN and infinities as strings, which JSON can hold', () => {
    const data = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
    expect(tensorElementsAsJson({ name: 'x', datatype: 'FP32', shape: [3], data })).toBe(
      '"NaN","Infinity","-Infinity"',
    );
  });

  it.each<[Datatype, unknown, string]>([
    ['BOOL', 1, 'x[1] must be true or false, got 1'],
    ['UINT8', 256, 'x[1] must be an integer from 0 to 255 (UINT8), got 256'],
    ['INT8', -129, 'x[1] must be an integer from -128 to 127 (INT8), got -129'],
    ['INT64', 2 ** 53, 'x[1] must be a decimal string when beyond 2^53 (INT64), got 9007199254740992'],
    ['INT64', true, 'x[1] must be an integer from -9223372036854775808 to 9223372036854775807 (INT64), got true'],
    ['UINT64', '-1', 'x[1] must be an integer from 0 to 18446744073709551615 (UINT64), got "-1"'],
    ['BYTES', 'a\0b', 'x[1] must be a string without NUL characters, got "a\\u0000b"'],
  ])('refuse in %s the value %j', (datatype, value, message) => {
    const good = codecOf(datatype)?.numeric === true ? 0 : datatype === 'BOOL' ? false : '';
    expect(() => parse(datatype, [good, value])).toThrow(message);
  });

  it.each<[Datatype, unknown[], unknown[]]>([
    ['INT64', [1, 2], [3, 4]],
    ['FP32', [1.5, 2], [3, 4]],
    ['BYTES', ['a', 'b'], ['c', 'd']],
  ])('join and split rows of %s', (datatype, first, second) => {
    const rows = [parse(datatype, first, [1, 2]), parse(datatype, second, [1, 2])] as const;
    const joined = concatenate(rows);
    expect(joined.shape).toEqual([2, 2]);
    expect(splitRows(joined).map(tensorElementsAsJson)).toEqual(rows.map(tensorElementsAsJson));
  });
});
