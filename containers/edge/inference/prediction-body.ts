import { elementCount, type Tensor, tensorElementsAsJson } from './tensors';

/*
 * A prediction as the cache keeps it: UTF-8 lines of JSON, which never holds a raw line break. The first line is the
 * value of `prediction`, then one line an output. Any request shape is answered by joining lines, without parsing:
 * parsing and writing JSON costs more than running a small model.
 */

/** Version of the layout above; part of every cache key, because L1 and the disk outlive a deployment. */
export const PREDICTION_BODY_FORMAT = '1';

/** Encodes a model's outputs. */
export function encodePrediction(outputs: readonly Tensor[]): Buffer {
  return Buffer.from([predictionValue(outputs), ...outputs.map(outputAsJson)].join('\n'), 'utf8');
}

/** JSON text of the first output: a bare value where it has one element, else a flat array. */
export function predictionText(body: Buffer): string {
  const end = body.indexOf('\n');
  return body.toString('utf8', 0, end === -1 ? body.length : end);
}

/** JSON text of each output as an Open Inference Protocol tensor, in the model's order. */
export function outputTexts(body: Buffer): string[] {
  return body.toString('utf8').split('\n').slice(1);
}

function predictionValue(outputs: readonly Tensor[]): string {
  const [first] = outputs;
  if (first === undefined) throw new Error('a prediction needs at least one output');
  const elements = tensorElementsAsJson(first);
  return elementCount(first.shape) === 1 ? elements : `[${elements}]`;
}

function outputAsJson(output: Tensor): string {
  const { name, datatype, shape } = output;
  return `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape.join(',')}],"data":[${tensorElementsAsJson(output)}]}`;
}
