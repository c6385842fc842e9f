import {
  decodePrediction,
  endOfElements,
  headOfPrediction,
  type StoredOutput,
  storedElementsAsJson,
} from '../../inference/prediction-body';
import type { InferRequest } from '../infer-request';
import { JSON_TYPE } from '../predict-one';
import { classify } from './classification';
import type { OutputWish } from './output-wishes';
import { HEADER_LENGTH_HEADER } from './request-body';
import type { Signature } from './signature';

/** An inference response as HTTP carries it. */
export interface InferAnswer {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

/** How answers begin whose outputs are all binary and as the model orders them: with what is not in their elements. */
export interface KnownAnswer {
  /** What the prediction begins with. */
  readonly predictionHead: Buffer;
  readonly json: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/** A client that asks for it has the answer compressed. */
const VARY = { vary: 'accept-encoding' };
const JSON_HEADERS = { 'content-type': JSON_TYPE, ...VARY };

/** The inference response for a prediction as the cache keeps it: JSON, then what is asked for as binary data. */
export function writeInferAnswer(
  model: Signature & { readonly version: string },
  { id, outputs, form }: InferRequest,
  prediction: Buffer,
): InferAnswer {
  const known = form?.answer;
  if (known !== undefined && beginsWith(prediction, known.predictionHead)) return completed(known, prediction);
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
  if (!outputs.some(({ binary }) => binary)) return { headers: JSON_HEADERS, body: json };
  const head = Buffer.from(json);
  const headers = { 'content-type': 'application/octet-stream', [HEADER_LENGTH_HEADER]: `${head.length}`, ...VARY };
  if (form !== undefined && areAllAsKept(outputs, stored.length)) {
    // A copy: a part would keep all of the prediction in memory.
    form.answer = { predictionHead: Buffer.from(headOfPrediction(prediction)), json: head, headers };
  }
  return { headers, body: Buffer.concat([head, ...binaries]) };
}

function beginsWith(prediction: Buffer, head: Buffer): boolean {
  return prediction.length >= head.length && prediction.compare(head, 0, head.length, 0, head.length) === 0;
}

function completed({ predictionHead, json, headers }: KnownAnswer, prediction: Buffer): InferAnswer {
  const end = endOfElements(prediction);
  const body = Buffer.allocUnsafe(json.length + end - predictionHead.length);
  body.set(json);
  prediction.copy(body, json.length, predictionHead.length, end);
  return { headers, body };
}

/** Whether all outputs are asked for as they are kept, one behind the other. */
function areAllAsKept(outputs: readonly OutputWish[], count: number): boolean {
  const isAsKept = ({ index, binary, classes }: OutputWish, i: number) =>
    index === i && binary && classes === undefined;
  return outputs.length === count && outputs.every(isAsKept);
}

function outputText(output: StoredOutput, binary: boolean): string {
  const head = `{"name":${JSON.stringify(output.name)},"datatype":"${output.datatype}","shape":[${output.shape.join(',')}]`;
  if (binary) return `${head},"parameters":{"binary_data_size":${output.bytes.length}}}`;
  return `${head},"data":[${storedElementsAsJson(output)}]}`;
}
