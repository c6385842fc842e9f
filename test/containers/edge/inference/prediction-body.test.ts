import fc from 'fast-check';
import {
  decodePrediction,
  encodePrediction,
  endOfElements,
  PredictionEncoder,
  predictionText,
  storedElements,
  storedElementsAsJson,
} from '../../../../containers/edge/inference/prediction-body';
import { type Tensor, tensorBytes } from '../../../../containers/edge/inference/tensors';
import { Datatype } from '../../../../lib/core/manifest';
import { smallShape, tensorOf } from '../../../support/tensor-arbitraries';

const anyOutput = fc
  .tuple(fc.constantFrom(...Datatype.options), smallShape, fc.string({ unit: 'binary', maxLength: 8 }))
  .filter(([, , name]) => !/\p{Surrogate}/u.test(name))
  .chain(([datatype, shape, name]) => tensorOf(datatype, shape, name));

const scores = (...values: number[]): Tensor => ({
  name: 'scores',
  datatype: 'FP32',
  shape: [1, values.length],
  data: Float32Array.from(values),
});

describe('a prediction as the cache keeps it', () => {
  it('is the same from an encoder that has written others before', () => {
    const few = fc.array(anyOutput, { minLength: 1, maxLength: 2 });
    fc.assert(
      fc.property(fc.array(few, { maxLength: 6 }), (predictions) => {
        const encoder = new PredictionEncoder();
        // Each twice: once with the head of the one before it, if that is alike, and once surely with its own.
        for (const outputs of predictions.flatMap((each) => [each, each])) {
          expect(encoder.encode(outputs).toString('hex')).toBe(encodePrediction(outputs).toString('hex'));
        }
      }),
    );
    const encoder = new PredictionEncoder();
    const alike = [scores(1, 2), { ...scores(1, 2), name: 'scorez' }, { ...scores(1, 2), shape: [2, 1] }, scores(3, 4)];
    for (const output of alike) expect(encoder.encode([output])).toEqual(encodePrediction([output]));
  });

  it('gives back every output, from memory at any alignment', () => {
    fc.assert(
      fc.property(fc.array(anyOutput, { minLength: 1, maxLength: 4 }), fc.nat({ max: 7 }), (outputs, offset) => {
        const body = Buffer.concat([Buffer.alloc(offset), encodePrediction(outputs)]).subarray(offset);
        const stored = decodePrediction(body);
        const known = ({ name, datatype, shape }: Omit<Tensor, 'data'>) => ({ name, datatype, shape });
        expect(stored.map(known)).toEqual(outputs.map(known));
        expect(stored.map(storedElements)).toEqual(outputs.map(({ data }) => data));
        expect(stored.map(({ bytes }) => bytes.toString('hex'))).toEqual(
          outputs.map((output) => tensorBytes(output).toString('hex')),
        );
      }),
    );
  });

  it('keeps the text of few numbers where it is asked to, and says and gives back the same with and without', () => {
    fc.assert(
      fc.property(fc.array(anyOutput, { minLength: 1, maxLength: 4 }), (outputs) => {
        const [plain, texted] = [encodePrediction(outputs), encodePrediction(outputs, true)];
        expect(predictionText(texted)).toBe(predictionText(plain));
        expect(decodePrediction(texted)).toEqual(decodePrediction(plain));
        expect(texted.subarray(8, endOfElements(texted))).toEqual(plain.subarray(8));
        expect(endOfElements(plain)).toBe(plain.length);
        const isShort = outputs[0]?.datatype !== 'BYTES' && (outputs[0]?.data.length ?? 0) <= 64;
        expect(texted.length - plain.length).toBe(isShort ? predictionText(plain).length : 0);
      }),
    );
  });

  it('says its first output as a value where that has one element, else as a flat array', () => {
    expect(predictionText(encodePrediction([scores(0.5), scores(1, 2)]))).toBe('0.5');
    expect(predictionText(encodePrediction([scores(0.5, Number.NaN)]))).toBe('[0.5,"NaN"]');
    expect(predictionText(encodePrediction([scores()]))).toBe('[]');
    expect(predictionText(encodePrediction([{ name: 'y', datatype: 'BYTES', shape: [], data: ['a"'] }]))).toBe(
      '"a\\""',
    );
  });

  it('says JSON of any output', () => {
    const label: Tensor = { name: 'label', datatype: 'INT64', shape: [1], data: BigInt64Array.of(2n ** 62n) };
    const [, stored] = decodePrediction(encodePrediction([scores(1), label]));
    expect(stored && storedElementsAsJson(stored)).toBe('4611686018427387904');
  });

  it('keeps a NUL that a model has put into its text', () => {
    const [stored] = decodePrediction(encodePrediction([{ name: 'y', datatype: 'BYTES', shape: [1], data: ['a\0'] }]));
    expect(stored && storedElementsAsJson(stored)).toBe('"a\\u0000"');
  });
});
