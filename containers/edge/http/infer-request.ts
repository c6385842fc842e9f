import type { TensorSpec } from '../../../lib/core/manifest';
import { invalidField, ServiceError, show } from '../errors';
import { readBinaryElements, readText } from '../inference/binary-elements';
import { codecOf } from '../inference/datatypes';
import { RoundedInteger } from '../inference/json-elements';
import { elementCount, parseTensor, shapeFits, type Tensor } from '../inference/tensors';
import { asObject } from './predict-request';
import { type OutputWish, parseOutputWishes } from './v2/output-wishes';
import { type InferBody, splitBody } from './v2/request-body';
import { knownForm, type RequestForm, rememberForm, rememberLastForm, sameForm } from './v2/request-forms';
import { parametersOf } from './v2/request-parameters';
import { type Signature, specNamed } from './v2/signature';

/** An inference request that fits its model. */
export interface InferRequest {
  readonly id: string | undefined;
  readonly inputs: readonly Tensor[];
  /** What is to be answered, in the order asked. */
  readonly outputs: readonly OutputWish[];
  /** How long the client waits, microseconds. */
  readonly timeoutUs: number | undefined;
  /** What all requests with the same JSON have in common, where that is all but their elements. */
  readonly form: RequestForm | undefined;
}

/**
 * Reads the body of an inference request, `headerLength` being its header that says where the JSON ends. Throws as
 * `parseInferRequest`.
 */
export function readInferRequest(
  body: Buffer,
  headerLength: string | string[] | undefined,
  model: Signature,
): InferRequest {
  const same = sameForm(model, body, headerLength);
  if (same !== undefined) return requestOf(same.form, body.subarray(same.json.length));
  const request = parseInferRequest(splitBody(body, headerLength), model);
  if (request.form !== undefined && typeof headerLength === 'string') {
    rememberLastForm(model, body, headerLength, request.form);
  }
  return request;
}

/**
 * Reads an Open Inference Protocol v2 inference request, its tensors in JSON, as binary data or mixed. Throws a
 * ServiceError naming the field: ONNX Runtime itself ignores inputs it does not know.
 */
export function parseInferRequest(body: InferBody, model: Signature): InferRequest {
  const { text, binary } = body;
  const known = text === undefined || binary.length === 0 ? undefined : knownForm(model, text);
  if (known !== undefined && known.bytes === binary.length) return requestOf(known, binary);
  const json = body.json();
  if (json === undefined) return rawRequest(binary, model);
  const fields = asObject(json, 'the body');
  const { binaryOutput, timeoutUs } = parametersOf(fields.parameters);
  const id = optionalString(fields.id, 'id');
  const reader = new InputReader(body, model);
  const inputs = reader.readAll(fields.inputs);
  const outputs = parseOutputWishes(fields.outputs, binaryOutput, model);
  // An `id` makes it likely that the same JSON does not come again.
  const isForm = reader.areAllBinary && id === undefined && text !== undefined;
  const form = isForm ? formOf(inputs, reader.sizes, outputs, timeoutUs) : undefined;
  if (form !== undefined && text !== undefined) rememberForm(model, text, form);
  return { id, inputs, outputs, timeoutUs, form };
}

function formOf(
  inputs: readonly Tensor[],
  sizes: readonly number[],
  outputs: readonly OutputWish[],
  timeoutUs: number | undefined,
): RequestForm {
  const formInputs = inputs.map(({ name, datatype, shape }, i) => ({
    name,
    datatype,
    shape,
    elements: elementCount(shape),
    bytes: sizes[i] ?? 0,
  }));
  const bytes = formInputs.reduce((sum, input) => sum + input.bytes, 0);
  return { inputs: formInputs, bytes, outputs, timeoutUs, answer: undefined };
}

/** The request of a form whose binary data, as many bytes as it says, are these. Throws as `parseInferRequest`. */
function requestOf(form: RequestForm, binary: Buffer): InferRequest {
  let end = 0;
  const inputs = form.inputs.map(({ name, datatype, shape, elements, bytes }, i) => {
    end += bytes;
    const data = readBinaryElements(datatype, binary.subarray(end - bytes, end), elements, `inputs[${i}]`);
    return { name, datatype, shape, data };
  });
  return { id: undefined, inputs, outputs: form.outputs, timeoutUs: form.timeoutUs, form };
}

function optionalString(value: unknown, field: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw invalidField(field, 'a string', value);
}

/** Reads the inputs of one request, taking binary data from its body in their order. */
class InputReader {
  readonly #body: InferBody;
  readonly #model: Signature;
  /** Bytes of the binary data of each input that has them. */
  readonly sizes: number[] = [];
  #inputs = 0;
  #taken = 0;
  #exact: unknown;

  constructor(body: InferBody, model: Signature) {
    this.#body = body;
    this.#model = model;
  }

  readAll(inputs: unknown): Tensor[] {
    if (!Array.isArray(inputs)) throw invalidField('inputs', 'an array', inputs);
    const tensors: Tensor[] = [];
    const names = new Set<string>();
    for (const [i, input] of inputs.entries()) {
      const tensor = this.#read(input, i);
      if (names.has(tensor.name)) {
        throw new ServiceError('invalid_request', `inputs[${i}].name repeats ${show(tensor.name)}`);
      }
      names.add(tensor.name);
      tensors.push(tensor);
    }
    const missing = this.#model.inputs.find((spec) => !names.has(spec.name));
    if (missing !== undefined) {
      const needed = `${show(missing.name)}, which model ${this.#model.name} needs`;
      throw new ServiceError('invalid_request', `inputs lacks ${needed}`);
    }
    const rest = this.#body.binary.length - this.#taken;
    if (rest === 0) return tensors;
    throw new ServiceError('invalid_request', `the body has ${rest} bytes more than the binary data of its inputs`);
  }

  get areAllBinary(): boolean {
    return this.sizes.length === this.#inputs;
  }

  #read(value: unknown, i: number): Tensor {
    this.#inputs += 1;
    const field = `inputs[${i}]`;
    const input = asObject(value, field);
    const spec = specNamed(input.name, this.#model.inputs, `${field}.name`, this.#model);
    if (input.datatype !== spec.datatype) {
      throw invalidField(`${field}.datatype`, `"${spec.datatype}" for input ${spec.name}`, input.datatype);
    }
    const { shape } = input;
    if (!isShape(shape) || !shapeFits(shape, spec)) {
      throw invalidField(`${field}.shape`, `[${spec.shape.join(',')}] for input ${spec.name} (-1 is any size)`, shape);
    }
    const size = binarySize(input, field);
    if (size === undefined) return this.#readJson(spec, shape, input.data, i);
    const data = readBinaryElements(spec.datatype, this.#take(size, field), elementCount(shape), field);
    return { name: spec.name, datatype: spec.datatype, shape, data };
  }

  #readJson(spec: TensorSpec, shape: readonly number[], data: unknown, i: number): Tensor {
    const field = `inputs[${i}].data`;
    try {
      return parseTensor(spec, shape, data, field);
    } catch (error) {
      if (!(error instanceof RoundedInteger)) throw error;
      this.#exact ??= this.#body.exactJson();
      const { inputs } = this.#exact as { readonly inputs: readonly { readonly data: unknown }[] };
      return parseTensor(spec, shape, inputs[i]?.data, field);
    }
  }

  #take(size: number, field: string): Buffer {
    const left = this.#body.binary.length - this.#taken;
    if (size > left) {
      const expected = `at most ${left}, the bytes of binary data that are left in the body`;
      throw invalidField(`${field}.parameters.binary_data_size`, expected, size);
    }
    this.#taken += size;
    this.sizes.push(size);
    return this.#body.binary.subarray(this.#taken - size, this.#taken);
  }
}

/** Size of an input's binary data; `undefined` where its data are in the JSON. */
function binarySize(input: Record<string, unknown>, field: string): number | undefined {
  if (input.parameters === undefined) return undefined;
  const parameters = asObject(input.parameters, `${field}.parameters`);
  if (parameters.shared_memory_region !== undefined) {
    const refusal = `${field}.parameters.shared_memory_region: shared memory is not served; send the data`;
    throw new ServiceError('invalid_request', refusal);
  }
  const size = parameters.binary_data_size;
  if (size === undefined) return undefined;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalidField(`${field}.parameters.binary_data_size`, 'a number of bytes', size);
  }
  if (input.data === undefined) return size;
  throw new ServiceError('invalid_request', `${field} must have either data or parameters.binary_data_size, got both`);
}

/**
 * A request without JSON: the elements of the model's only input, a dynamic axis taking the size that they give it, a
 * dynamic axis 0 beside another one being 1. BYTES are one element, the whole body. Outputs are binary.
 */
function rawRequest(binary: Buffer, model: Signature): InferRequest {
  const [input, ...others] = model.inputs;
  if (input === undefined || others.length > 0) {
    const refusal = `a body without JSON needs a model with one input; ${model.name} has ${model.inputs.length}`;
    throw new ServiceError('invalid_request', refusal);
  }
  const { name, datatype } = input;
  const { bytes } = codecOf(datatype);
  const shape = rawShape(input, bytes === undefined ? 1 : binary.length / bytes, binary.length, model);
  const data =
    bytes === undefined
      ? [readText(binary, 'the body')]
      : readBinaryElements(datatype, binary, elementCount(shape), 'the body');
  return {
    id: undefined,
    inputs: [{ name, datatype, shape, data }],
    outputs: parseOutputWishes(undefined, true, model),
    timeoutUs: undefined,
    form: undefined,
  };
}

function rawShape(input: TensorSpec, elements: number, bytes: number, model: Signature): number[] {
  const dynamic = input.shape.filter((axis) => axis === -1).length;
  const axes = dynamic > 1 && input.shape[0] === -1 ? [1, ...input.shape.slice(1)] : input.shape;
  const fixed = elementCount(axes.filter((axis) => axis !== -1));
  const shape = axes.map((axis) => (axis === -1 ? elements / fixed : axis));
  if (shapeFits(shape, input) && elementCount(shape) === elements) return shape;
  const signature = `${input.datatype} [${input.shape.join(',')}]`;
  throw new ServiceError(
    'invalid_request',
    `the body of ${bytes} bytes must be elements of ${signature}, the input ${input.name} of model ${model.name}`,
  );
}

function isShape(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((axis) => typeof axis === 'number');
}
