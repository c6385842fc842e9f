import type { InferRequest } from '../../../../../containers/edge/http/infer-request';
import { writeInferAnswer } from '../../../../../containers/edge/http/v2/infer-answer';
import { encodePrediction } from '../../../../../containers/edge/inference/prediction-body';

const MODEL = {
  name: 'picky',
  version: '1',
  inputs: [],
  outputs: [{ name: 'found', datatype: 'FP32' as const, shape: [-1] }],
};

const outputs = [{ index: 0, binary: true, classes: undefined }];
const form: InferRequest['form'] = { inputs: [], bytes: 0, outputs, timeoutUs: undefined, answer: undefined };
const request: InferRequest = { id: undefined, inputs: [], outputs, timeoutUs: undefined, form };
function prediction(values: number[], withText: boolean): Buffer {
  const data = Float32Array.from(values);
  return encodePrediction([{ name: 'found', datatype: 'FP32', shape: [values.length], data }], withText);
}

it.each([
  ['binary answers', [false]],
  ['answers in JSON', [true]],
  ['both', [false, true, true, false]],
])(
  'an answer to a request like one before has the shape and the elements of its own prediction, made for %s',
  (_for, madeWithText) => {
    const all = [[1, 2], [3, 4], [5], [], [6, 7], [8.5, 9], [1, 3]];
    for (const [i, values] of all.entries()) {
      const made = prediction(values, madeWithText[i % madeWithText.length] === true);
      const { headers, body } = writeInferAnswer(MODEL, request, made);
      const jsonLength = Number(headers['inference-header-content-length']);
      const json = JSON.parse(body.toString('utf8', 0, jsonLength));
      expect(json.outputs).toEqual([
        {
          name: 'found',
          datatype: 'FP32',
          shape: [values.length],
          parameters: { binary_data_size: 4 * values.length },
        },
      ]);
      expect((body as Buffer).subarray(jsonLength)).toEqual(Buffer.from(Float32Array.from(values).buffer));
    }
  },
);
