import fc from 'fast-check';
import {
  type KeyTensor,
  type PredictionIdentity,
  predictionKey,
  predictionKeysByElements,
} from '../../../lib/core/prediction-key';

const floats = (values: number[]): Uint8Array => {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => void bytes.writeFloatLE(value, i * 4));
  return bytes;
};
const doubles = (values: number[]): Uint8Array => {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => void bytes.writeDoubleLE(value, i * 8));
  return bytes;
};
const row = (values: number[]): KeyTensor => ({
  name: 'x',
  datatype: 'FP32',
  shape: [1, values.length],
  bytes: floats(values),
});
const ranker = (inputs: KeyTensor[], outputs?: string[]): string =>
  predictionKey({ model: 'ranker', version: 'v3', inputs, outputs });

const tensor = fc.record({
  name: fc.string({ maxLength: 4 }),
  datatype: fc.constantFrom('INT8' as const, 'UINT8' as const, 'BYTES' as const),
  shape: fc.array(fc.nat(3), { maxLength: 3 }),
  bytes: fc.uint8Array({ maxLength: 6 }),
});
const identity = fc.record(
  {
    model: fc.constantFrom('a', 'ab', 'b'),
    version: fc.constantFrom('1', 'b1', '11'),
    inputs: fc.uniqueArray(tensor, { selector: (t) => t.name, maxLength: 3 }),
    outputs: fc.array(fc.string({ maxLength: 3 }), { maxLength: 2 }),
  },
  { requiredKeys: ['model', 'version', 'inputs'] },
);

const sorted = ({ model, version, inputs, outputs }: PredictionIdentity) => ({
  model,
  version,
  inputs: inputs.map((t) => ({ ...t, bytes: [...t.bytes] })).sort((a, b) => (a.name < b.name ? -1 : 1)),
  outputs: outputs ?? null,
});

describe('predictionKey', () => {
  it('puts model and version in front, so that a prefix invalidates one of them', () => {
    expect(ranker([row([1, 2])])).toMatch(/^predict\/ranker\/v3\/[0-9a-f]{64}$/);
  });

  it('does not depend on the order of inputs', () => {
    const a: KeyTensor = { ...row([1]), name: 'a' };
    const b: KeyTensor = { ...row([2]), name: 'b' };
    expect(ranker([a, b])).toBe(ranker([b, a]));
  });

  it('is equal exactly when the identities are', () => {
    fc.assert(
      fc.property(identity, identity, (one, other) => {
        const same = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
        expect(predictionKey(one) === predictionKey(other)).toBe(same);
      }),
      { numRuns: 2000 },
    );
  });

  it('cannot be confused by moving bytes between neighbouring fields', () => {
    const at = (name: string, bytes: string): string =>
      ranker([{ name, datatype: 'BYTES', shape: [1], bytes: Buffer.from(bytes) }]);
    expect(at('xy', 'z')).not.toBe(at('x', 'yz'));
    expect(ranker([row([1])], ['ab', 'c'])).not.toBe(ranker([row([1])], ['a', 'bc']));
    expect(ranker([row([1])], [])).not.toBe(ranker([row([1])]));
  });

  it('takes -0 for 0 and every NaN for one, in floating-point datatypes only', () => {
    const bits = (pattern: number): Uint8Array => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(pattern);
      return bytes;
    };
    expect(ranker([row([-0, 1])])).toBe(ranker([row([0, 1])]));
    expect(ranker([{ ...row([0]), bytes: bits(0x7fc00001) }])).toBe(ranker([{ ...row([0]), bytes: bits(0xffc12345) }]));
    const wide = (values: number[]): KeyTensor => ({
      ...row([]),
      datatype: 'FP64',
      shape: [values.length],
      bytes: doubles(values),
    });
    expect(ranker([wide([-0])])).toBe(ranker([wide([0])]));
    const whole = (value: number): KeyTensor => ({ ...row([0]), datatype: 'INT32', bytes: bits(value) });
    expect(ranker([whole(0x80000000)])).not.toBe(ranker([whole(0)]));
  });

  it('keeps every other pair of floats apart', () => {
    const extremes = [Infinity, -Infinity, Number.MIN_VALUE, -Number.MIN_VALUE, 5e-324, 2 ** -1074, 1, -1];
    fc.assert(
      fc.property(fc.double(), fc.constantFrom(...extremes), (a, b) => {
        const one: KeyTensor = { ...row([]), datatype: 'FP64', shape: [1], bytes: doubles([a]) };
        const other: KeyTensor = { ...one, bytes: doubles([b]) };
        expect(ranker([one]) === ranker([other])).toBe(a === b);
      }),
    );
  });

  it('leaves the bytes it was given as they were', () => {
    const bytes = floats([-0, Number.NaN]);
    const before = Buffer.from(bytes);
    ranker([{ ...row([0, 0]), bytes }]);
    expect(Buffer.from(bytes).equals(before)).toBe(true);
  });
});

describe('predictionKeysByElements', () => {
  const others: KeyTensor[] = [{ name: '', datatype: 'BYTES', shape: [], bytes: Buffer.from('sha') }];
  const identity = { model: 'ranker', version: 'v3' };

  it('gives the keys of predictionKey, whatever was asked for before', () => {
    const bits = fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.concat([bytes, bytes, bytes, bytes]));
    const special = fc.constantFrom(floats([-0, 1]), floats([Number.NaN, -0]), floats([]));
    const datatypes = fc.constantFrom('FP32' as const, 'INT32' as const);
    fc.assert(
      fc.property(fc.array(fc.oneof(bits, special), { maxLength: 6 }), datatypes, (rows, datatype) => {
        const input = { name: 'x', datatype, shape: [1, 2] };
        const keyOf = predictionKeysByElements({ ...identity, inputs: others }, input);
        for (const bytes of rows) {
          expect(keyOf(bytes)).toBe(predictionKey({ ...identity, inputs: [...others, { ...input, bytes }] }));
        }
      }),
    );
  });

  it('refuses an input that the key does not have last', () => {
    const input = { name: '', datatype: 'FP32' as const, shape: [1] };
    expect(() => predictionKeysByElements({ ...identity, inputs: others }, input)).toThrow('last by name');
  });
});
