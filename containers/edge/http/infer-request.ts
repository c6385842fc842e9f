import type { TensorSpec } from '../../../lib/core/manifest';
import { invalidField, ServiceError, show } from '../errors';
import { parseTensor, shapeFits, type Tensor } from '../inference/tensors';
import { asObject, optionalText } from './predict-request';

/** Signature that an inference request is compared with. */
export interface Signature {
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/** An inference request that fits its model. */
export interface InferRequest {
  readonly id: string | undefined;
  readonly inputs: readonly Tensor[];
  /** Positions, in the model's list, of the outputs asked for, in the order asked. */
  readonly outputIndexes: readonly number[];
}

/**
 * Reads an Open Inference Protocol v2 inference request. Throws a ServiceError naming the field: ONNX Runtime itself
 * ignores inputs it does not know.
 */
export function parseInferRequest(body: unknown, model: Signature): InferRequest {
  const fields = asObject(body, 'the body');
  return {
    id: optionalText(fields.id, 'id'),
    inputs: parseInputs(fields.inputs, model),
    outputIndexes: parseOutputs(fields.outputs, model),
  };
}

function parseInputs(inputs: unknown, model: Signature): Tensor[] {
  if (!Array.isArray(inputs)) throw invalidField('inputs', 'an array', inputs);
  const tensors = inputs.map((input, i) => parseInput(input, `inputs[${i}]`, model));
  for (const [i, { name }] of tensors.entries()) {
    if (tensors.findIndex((other) => other.name === name) !== i) {
      throw new ServiceError('invalid_request', `inputs[${i}].name repeats ${show(name)}`);
    }
  }
  const missing = model.inputs.find((spec) => !tensors.some((tensor) => tensor.name === spec.name));
  if (missing !== undefined) {
    throw new ServiceError('invalid_request', `inputs lacks ${show(missing.name)}, which model ${model.name} needs`);
  }
  return tensors;
}

function parseInput(value: unknown, field: string, model: Signature): Tensor {
  const input = asObject(value, field);
  const spec = specNamed(input.name, model.inputs, `${field}.name`, model);
  if (hasBinaryData(input.parameters)) {
    throw new ServiceError('invalid_request', `${field}.parameters.binary_data_size: binary tensors are not served`);
  }
  if (input.datatype !== spec.datatype) {
    throw invalidField(`${field}.datatype`, `"${spec.datatype}" for input ${spec.name}`, input.datatype);
  }
  const { shape } = input;
  if (!isShape(shape) || !shapeFits(shape, spec)) {
    throw invalidField(`${field}.shape`, `[${spec.shape.join(',')}] for input ${spec.name} (-1 is any size)`, shape);
  }
  return parseTensor(spec, shape, input.data, `${field}.data`);
}

function parseOutputs(outputs: unknown, model: Signature): number[] {
  if (outputs === undefined) return [...model.outputs.keys()];
  if (!Array.isArray(outputs)) throw invalidField('outputs', 'an array', outputs);
  if (outputs.length === 0) return [...model.outputs.keys()];
  return outputs.map((value, i) => {
    const output = asObject(value, `outputs[${i}]`);
    return model.outputs.indexOf(specNamed(output.name, model.outputs, `outputs[${i}].name`, model));
  });
}

function specNamed(name: unknown, specs: readonly TensorSpec[], field: string, model: Signature): TensorSpec {
  const found = specs.find((spec) => spec.name === name);
  if (found !== undefined) return found;
  const allowed = specs.map((spec) => spec.name).join(', ');
  throw invalidField(field, `one of ${allowed} (model ${model.name})`, name);
}

function isShape(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((axis) => typeof axis === 'number');
}

function hasBinaryData(parameters: unknown): boolean {
  return typeof parameters === 'object' && parameters !== null && 'binary_data_size' in parameters;
}
