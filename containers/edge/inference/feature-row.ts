import type { TensorSpec } from '../../../lib/core/manifest';
import { ServiceError } from '../errors';
import { codecOf } from './datatypes';
import { elementCount, parseTensor, type Tensor } from './tensors';

/** What a row of features needs to know of its model. */
export interface FeatureModel {
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
}

/**
 * One row of features as the model's single numeric input. Throws a ServiceError when the model cannot be called so,
 * or naming the element of `field` that is wrong.
 */
export function parseFeatureRow(model: FeatureModel, features: unknown, field: string): Tensor {
  const input = singleNumericInput(model);
  const values = valuesOf(features, field);
  return parseTensor(input, rowShape(model, input, values.length, field), values, field);
}

/**
 * Several rows, as `parseFeatureRow` reads each, row `i` being `field[i]`. Rows of one length have one array for their
 * shape.
 */
export function parseFeatureRows(model: FeatureModel, rows: readonly unknown[], field: string): Tensor[] {
  const input = singleNumericInput(model);
  const shapes = new Map<number, readonly number[]>();
  return rows.map((features, i) => {
    const name = `${field}[${i}]`;
    const values = valuesOf(features, name);
    let shape = shapes.get(values.length);
    if (shape === undefined) {
      shape = rowShape(model, input, values.length, name);
      shapes.set(values.length, shape);
    }
    return parseTensor(input, shape, values, name);
  });
}

function valuesOf(features: unknown, field: string): readonly unknown[] {
  if (Array.isArray(features)) return features;
  throw new ServiceError('invalid_request', `${field} must be an array of numbers, got ${typeOf(features)}`);
}

function typeOf(value: unknown): string {
  return value === undefined ? 'nothing' : value === null ? 'null' : typeof value;
}

function singleNumericInput(model: FeatureModel): TensorSpec {
  const [input, ...others] = model.inputs;
  if (input !== undefined && others.length === 0 && codecOf(input.datatype).numeric) return input;
  const signature = model.inputs.map((each) => `${each.name} ${each.datatype}`).join(', ');
  throw new ServiceError(
    'invalid_request',
    `model ${model.name} cannot be called with features: that needs a single numeric input, and it has ${signature}; ` +
      `use POST /v2/models/${model.name}/infer`,
  );
}

/**
 * Shape of one row: a dynamic first axis is the batch and becomes 1. One further dynamic axis takes the length that
 * the number of features gives it.
 */
function rowShape(model: FeatureModel, input: TensorSpec, count: number, field: string): number[] {
  const shape = input.shape.map((axis, i) => (axis === -1 && i === 0 ? 1 : axis));
  const dynamic = shape.filter((axis) => axis === -1).length;
  if (dynamic > 1) {
    throw new ServiceError(
      'invalid_request',
      `model ${model.name} takes inputs of shape [${input.shape.join(',')}], which ${field} alone cannot tell; ` +
        `use POST /v2/models/${model.name}/infer`,
    );
  }
  const fixed = elementCount(shape.filter((axis) => axis !== -1));
  const fits = dynamic === 1 ? count > 0 && count % fixed === 0 : count === fixed;
  if (!fits) {
    const wanted = dynamic === 1 ? `a multiple of ${fixed}` : String(fixed);
    const numbers = wanted === '1' ? 'number' : 'numbers';
    throw new ServiceError(
      'invalid_request',
      `${field} must have ${wanted} ${numbers} for model ${model.name}, got ${count}`,
    );
  }
  return shape.map((axis) => (axis === -1 ? count / fixed : axis));
}
