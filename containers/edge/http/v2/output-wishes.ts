import { invalidField, ServiceError, show } from '../../errors';
import { asObject } from '../predict-request';
import { optionalBoolean } from './request-parameters';
import { type Signature, specNamed } from './signature';

/** How one output is to be answered. */
export interface OutputWish {
  /** Its place in the model's list. */
  readonly index: number;
  /** As binary tensor data instead of JSON. */
  readonly binary: boolean;
  /** The number of highest elements to be answered instead of all; see `classify`. */
  readonly classes: number | undefined;
}

/** Reads the outputs that a request asks for; all of the model's where it names none. Throws a ServiceError. */
export function parseOutputWishes(outputs: unknown, binaryByDefault: boolean, model: Signature): OutputWish[] {
  if (outputs !== undefined && !Array.isArray(outputs)) throw invalidField('outputs', 'an array', outputs);
  if (outputs === undefined || outputs.length === 0) {
    return model.outputs.map((_, index) => ({ index, binary: binaryByDefault, classes: undefined }));
  }
  const wishes: OutputWish[] = [];
  const taken = new Set<number>();
  for (const [i, output] of outputs.entries()) {
    const wish = parseWish(output, `outputs[${i}]`, binaryByDefault, model);
    if (taken.has(wish.index)) {
      const name = show(model.outputs[wish.index]?.name);
      throw new ServiceError('invalid_request', `outputs[${i}].name repeats ${name}`);
    }
    taken.add(wish.index);
    wishes.push(wish);
  }
  return wishes;
}

function parseWish(value: unknown, field: string, binaryByDefault: boolean, model: Signature): OutputWish {
  const output = asObject(value, field);
  const spec = specNamed(output.name, model.outputs, `${field}.name`, model);
  const index = model.outputs.indexOf(spec);
  if (output.parameters === undefined) return { index, binary: binaryByDefault, classes: undefined };
  const parameters = asObject(output.parameters, `${field}.parameters`);
  if (parameters.shared_memory_region !== undefined) {
    const refusal = `${field}.parameters.shared_memory_region: shared memory is not served; take the data from the body`;
    throw new ServiceError('invalid_request', refusal);
  }
  return {
    index,
    binary: optionalBoolean(parameters.binary_data, `${field}.parameters.binary_data`) ?? binaryByDefault,
    classes: optionalClasses(parameters.classification, `${field}.parameters.classification`, spec.datatype),
  };
}

function optionalClasses(value: unknown, field: string, datatype: string): number | undefined {
  // Triton's clients send 0 for the tensor itself.
  if (value === undefined || value === 0) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw invalidField(field, 'a number of classes', value);
  }
  if (datatype !== 'BYTES' && datatype !== 'BOOL') return value;
  throw new ServiceError('invalid_request', `${field} needs an output of numbers, got one of ${datatype}`);
}
