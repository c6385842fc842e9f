import { decodePrediction, type StoredOutput, storedElementsAsJson } from '../../inference/prediction-body';
import type { InferRequest } from '../infer-request';
import { JSON_TYPE } from '../predict-one';
import { classify } from './classification';
import { HEADER_LENGTH_HEADER } from './request-body';
import type { Signature } from './signature';

/** An inference response as HTTP carries it. */
export interface InferAnswer {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** The inference response for a prediction as the cache keeps it: JSON, then what is asked for as binary data. */
export function writeInferAnswer(
  model: Signature & { readonly version: string },
  { id, outputs }: InferRequest,
  prediction: Buffer,
): InferAnswer {
  const stored = decodePrediction(prediction);
  const texts: string[] = [];
  const binaries: Buffer[] = [];
  for (const { index, binary, classes } of outputs) {
    const whole = stored[index] as StoredOutput;
    const output = classes === undefined ? whole : classify(whole, classes);
    texts.push(outputText(output, binary));
    if (binary) binaries.push(output.bytes);
  }
  const idField = id === undefined || id === '' ? '' : `"id":${JSON.stringify(id)},`;
  const names = `"model_name":${JSON.stringify(model.name)},"model_version":${JSON.stringify(model.version)}`;
  const json = `{${names},${idField}"outputs":[${texts.join(',')}]}`;
  if (!outputs.some(({ binary }) => binary)) return { headers: { 'content-type': JSON_TYPE }, body: json };
  const head = Buffer.from(json);
  return {
    headers: { 'content-type': 'application/octet-stream', [HEADER_LENGTH_HEADER]: String(head.length) },
    body: Buffer.concat([head, ...binaries]),
  };
}

function outputText(output: StoredOutput, binary: boolean): string {
  const head = `{"name":${JSON.stringify(output.name)},"datatype":"${output.datatype}","shape":[${output.shape.join(',')}]`;
  if (binary) return `${head},"parameters":{"binary_data_size":${output.bytes.length}}}`;
  return `${head},"data":[${storedElementsAsJson(output)}]}`;
}
