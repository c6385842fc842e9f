import fc from 'fast-check';
import { parseInferRequest } from '../../../containers/edge/http/infer-request';
import { parsePredictBody, parsePredictQuery } from '../../../containers/edge/http/predict-request';
import { splitBody } from '../../../containers/edge/http/v2/request-body';
import { parseFeatureRow } from '../../../containers/edge/inference/feature-row';
import { type Tensor, tensorBytes } from '../../../containers/edge/inference/tensors';
import type { Datatype } from '../../../lib/core/manifest';
import { type KeyTensor, predictionKey } from '../../../lib/core/prediction-key';

type Element = number | bigint | boolean | string;

/** How a datatype's elements are drawn, and written little-endian by the Open Inference Protocol's binary extension. */
interface Form {
  readonly elements: fc.Arbitrary<Element>;
  write(value: Element): Buffer;
}

function fixed(elements: fc.Arbitrary<Element>, width: number, set: (bytes: Buffer, value: Element) => void): Form {
  const write = (value: Element) => {
    const bytes = Buffer.alloc(width);
    set(bytes, value);
    return bytes;
  };
  return { elements, write };
}

const integer = (bits: number, signed: boolean) => {
  const min = signed ? -(2 ** (bits - 1)) : 0;
  const max = min + 2 ** bits - 1;
  return fc.oneof(fc.integer({ min, max }), fc.constantFrom(0, 1, min, max));
};
const long = (min: bigint) => fc.oneof(fc.bigInt(min, min + 2n ** 64n - 1n), fc.bigInt(0n, 9n));
const finite = { noNaN: true, noDefaultInfinity: true } as const;
const text = fc.string({ unit: 'grapheme', maxLength: 6 }).filter((value) => !value.includes('\0'));

const FORMS: Readonly<Record<Exclude<Datatype, 'FP16'>, Form>> = {
  BOOL: fixed(fc.boolean(), 1, (bytes, value) => bytes.writeUInt8(value ? 1 : 0)),
  UINT8: fixed(integer(8, false), 1, (bytes, value) => bytes.writeUInt8(Number(value))),
  UINT16: fixed(integer(16, false), 2, (bytes, value) => bytes.writeUInt16LE(Number(value))),
  UINT32: fixed(integer(32, false), 4, (bytes, value) => bytes.writeUInt32LE(Number(value))),
  UINT64: fixed(long(0n), 8, (bytes, value) => bytes.writeBigUInt64LE(BigInt(value))),
  INT8: fixed(integer(8, true), 1, (bytes, value) => bytes.writeInt8(Number(value))),
  INT16: fixed(integer(16, true), 2, (bytes, value) => bytes.writeInt16LE(Number(value))),
  INT32: fixed(integer(32, true), 4, (bytes, value) => bytes.writeInt32LE(Number(value))),
  INT64: fixed(long(-(2n ** 63n)), 8, (bytes, value) => bytes.writeBigInt64LE(BigInt(value))),
  FP32: fixed(fc.float(finite), 4, (bytes, value) => bytes.writeFloatLE(Number(value))),
  FP64: fixed(fc.double(finite), 8, (bytes, value) => bytes.writeDoubleLE(Number(value))),
  BYTES: {
    elements: text,
    write: (value) => {
      const content = Buffer.from(String(value));
      const length = Buffer.alloc(4);
      length.writeUInt32LE(content.length);
      return Buffer.concat([length, content]);
    },
  },
};
const DATATYPES = Object.keys(FORMS) as (keyof typeof FORMS)[];

interface Sample {
  readonly shape: readonly number[];
  readonly elements: readonly Element[];
}

const samplesOf = (datatype: keyof typeof FORMS, rows: fc.Arbitrary<number>): fc.Arbitrary<Sample> =>
  fc.tuple(rows, fc.integer({ min: 1, max: 4 })).chain(([height, width]) => {
    const count = height * width;
    const elements = fc.array(FORMS[datatype].elements, { minLength: count, maxLength: count });
    return elements.map((drawn) => ({ shape: [height, width], elements: drawn }));
  });

/** JSON of an element. `JSON.stringify` alone would write -0 as 0. */
function jsonOf(value: Element): string {
  if (typeof value === 'bigint') return `"${value}"`;
  return Object.is(value, -0) ? '-0.0' : JSON.stringify(value);
}

const keyOf = (input: KeyTensor): string => predictionKey({ model: 'm', version: '1', inputs: [input] });
const keyOfTensor = (tensor: Tensor): string => keyOf({ ...tensor, bytes: tensorBytes(tensor) });

function keyOfBytes(datatype: keyof typeof FORMS, { shape, elements }: Sample): string {
  const bytes = Buffer.concat(elements.map((value) => FORMS[datatype].write(value)));
  return keyOf({ name: 'x', datatype, shape, bytes });
}

function keyOfInfer(datatype: Datatype, { shape, elements }: Sample, nested: boolean): string {
  const values = elements.map(jsonOf);
  const width = shape[1] ?? 1;
  const rows = Array.from({ length: shape[0] ?? 1 }, (_, row) => values.slice(row * width, (row + 1) * width));
  const data = nested ? `[${rows.map((row) => `[${row}]`).join()}]` : `[${values}]`;
  const body = `{"inputs":[{"name":"x","datatype":"${datatype}","shape":[${shape}],"data":${data}}]}`;
  const spec = { name: 'x', datatype, shape: [-1, -1] };
  const { inputs } = parseInferRequest(splitBody(Buffer.from(body), undefined), {
    name: 'm',
    inputs: [spec],
    outputs: [],
  });
  const [tensor] = inputs;
  if (!tensor) throw new Error('no input');
  return keyOfTensor(tensor);
}

const keyOfRow = (datatype: Datatype, features: unknown): string =>
  keyOfTensor(parseFeatureRow({ name: 'm', inputs: [{ name: 'x', datatype, shape: [-1, -1] }] }, features, 'features'));

describe.each(DATATYPES)('the same %s tensor', (datatype) => {
  it('has one key as flat JSON, nested JSON and little-endian bytes', () => {
    fc.assert(
      fc.property(samplesOf(datatype, fc.integer({ min: 1, max: 3 })), (sample) => {
        const key = keyOfBytes(datatype, sample);
        expect(keyOfInfer(datatype, sample, false)).toBe(key);
        expect(keyOfInfer(datatype, sample, true)).toBe(key);
      }),
    );
  });

  it('never shares its key with another tensor or shape', () => {
    const samples = samplesOf(datatype, fc.integer({ min: 1, max: 3 }));
    fc.assert(
      fc.property(samples, samples, ({ shape, elements }, other) => {
        const key = keyOfBytes(datatype, { shape, elements });
        const comparable = (sample: Sample) => `${sample.shape}:${sample.elements.map((each) => `${each}`)}`;
        expect(keyOfBytes(datatype, other) === key).toBe(comparable(other) === comparable({ shape, elements }));
        if (shape[0] !== shape[1]) {
          expect(keyOfBytes(datatype, { shape: shape.toReversed(), elements })).not.toBe(key);
        }
      }),
    );
  });
});

describe.each(DATATYPES.filter((datatype) => !['BOOL', 'BYTES'].includes(datatype)))('a row of %s', (datatype) => {
  it('has the key of its bytes as POST and as GET features', () => {
    fc.assert(
      fc.property(samplesOf(datatype, fc.constant(1)), ({ shape, elements }) => {
        // Features are JSON numbers: 64-bit integers past 2^53 are refused, for they would have lost digits.
        fc.pre(elements.every((value) => typeof value !== 'bigint' || Number.isSafeInteger(Number(value))));
        const key = keyOfBytes(datatype, { shape, elements });
        const written = elements.map((value) => (typeof value === 'bigint' ? `${value}` : jsonOf(value)));
        expect(keyOfRow(datatype, parsePredictBody(JSON.parse(`{"features":[${written}]}`)).features)).toBe(key);
        expect(keyOfRow(datatype, parsePredictQuery({ features: written.join() }).features)).toBe(key);
      }),
    );
  });
});

describe('FP16', () => {
  const half = (bits: number): string => {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16LE(bits);
    return keyOf({ name: 'x', datatype: 'FP16', shape: [1], bytes });
  };

  it('takes -0 for 0 and every NaN for one, and keeps every other number apart', () => {
    const keys = new Map<string, number[]>();
    for (let bits = 0; bits < 2 ** 16; bits++) keys.set(half(bits), [...(keys.get(half(bits)) ?? []), bits]);
    const shared = [...keys.values()].filter((patterns) => patterns.length > 1);
    const isNaN16 = (bits: number) => (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;
    const [zeros, nans, ...others] = shared;
    expect(zeros).toEqual([0x0000, 0x8000]);
    expect(nans).toEqual(Array.from({ length: 2 ** 16 }, (_, bits) => bits).filter(isNaN16));
    expect(others).toEqual([]);
  });
});
