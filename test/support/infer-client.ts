import type { Tensor } from '../../containers/edge/inference/tensors';
import { tensorBytes } from '../../containers/edge/inference/tensors';

/** An inference answer with its binary tensor data taken apart. */
export interface InferAnswer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test compares whatever came
  readonly json: any;
  /** Binary data of each output that has them, by its name. */
  readonly binary: ReadonlyMap<string, Buffer>;
}

/** Sends a body as it is, and takes the answer apart by its `Inference-Header-Content-Length`. */
export async function postInfer(
  url: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
): Promise<InferAnswer> {
  const bytes = typeof body === 'string' ? body : new Uint8Array(body);
  const response = await fetch(url, { method: 'POST', headers, body: bytes });
  const answer = Buffer.from(await response.arrayBuffer());
  const headLength = Number(response.headers.get('inference-header-content-length') ?? answer.length);
  const json = JSON.parse(answer.toString('utf8', 0, headLength));
  const binary = new Map<string, Buffer>();
  let at = headLength;
  for (const { name, parameters } of json.outputs ?? []) {
    if (parameters?.binary_data_size === undefined) continue;
    binary.set(name, answer.subarray(at, at + parameters.binary_data_size));
    at += parameters.binary_data_size;
  }
  if (at !== answer.length) throw new Error(`${answer.length - at} bytes of the answer belong to no output`);
  return { status: response.status, headers: response.headers, json, binary };
}

/** The body of a request with all inputs as binary data, and the length of its JSON. */
export function binaryRequest(inputs: readonly Tensor[], fields: object = {}): { body: Buffer; jsonLength: number } {
  const bytes = inputs.map(tensorBytes);
  const described = inputs.map(({ name, datatype, shape }, i) => {
    return { name, datatype, shape, parameters: { binary_data_size: bytes[i]?.length } };
  });
  const json = Buffer.from(JSON.stringify({ ...fields, inputs: described }));
  return { body: Buffer.concat([json, ...bytes]), jsonLength: json.length };
}

/** Sends inputs as binary data and asks for all outputs as binary data. */
export function inferBinary(url: string, inputs: readonly Tensor[], fields: object = {}): Promise<InferAnswer> {
  const { body, jsonLength } = binaryRequest(inputs, { parameters: { binary_data_output: true }, ...fields });
  return postInfer(url, body, { 'inference-header-content-length': String(jsonLength) });
}
