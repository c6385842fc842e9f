import { classify } from '../../../../../containers/edge/http/v2/classification';
import {
  decodePrediction,
  encodePrediction,
  storedElements,
} from '../../../../../containers/edge/inference/prediction-body';
import type { Tensor } from '../../../../../containers/edge/inference/tensors';

function classes(output: Pick<Tensor, 'datatype' | 'shape' | 'data'>, count: number) {
  const [stored] = decodePrediction(encodePrediction([{ name: 'y', ...output }]));
  if (stored === undefined) throw new Error('no output');
  const { datatype, shape, ...rest } = classify(stored, count);
  return { datatype, shape, data: storedElements({ datatype, shape, ...rest }) };
}

describe('classification', () => {
  it('answers the highest elements of a row, the lower index first among equals, and NaN last', () => {
    const data = Float32Array.of(1, 5, 10, 4, 5, Number.NaN);
    expect(classes({ datatype: 'FP32', shape: [6], data }, 3)).toEqual({
      datatype: 'BYTES',
      shape: [3],
      data: ['10.000000:2', '5.000000:1', '5.000000:4'],
    });
    expect(classes({ datatype: 'FP32', shape: [6], data }, 99).data).toHaveLength(6);
    expect(classes({ datatype: 'FP32', shape: [6], data }, 6).data).toContain('nan:5');
  });

  it('answers each row of a batch by itself', () => {
    const data = Float64Array.of(0.25, 0.75, 3, 1e22);
    expect(classes({ datatype: 'FP64', shape: [2, 2], data }, 1)).toEqual({
      datatype: 'BYTES',
      shape: [2, 1],
      data: ['0.750000:1', '10000000000000000000000.000000:1'],
    });
    expect(classes({ datatype: 'FP64', shape: [0, 2], data: new Float64Array(0) }, 1)).toMatchObject({ shape: [0, 0] });
  });

  it('writes integers in digits', () => {
    const data = BigInt64Array.of(-1n, 2n ** 62n);
    expect(classes({ datatype: 'INT64', shape: [1, 2], data }, 1).data).toEqual(['4611686018427387904:1']);
  });
});
