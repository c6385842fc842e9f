import type { TensorSpec } from '../../../../lib/core/manifest';
import { invalidField } from '../../errors';

/** What an inference request is compared with. */
export interface Signature {
  readonly name: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/** The input or output that a request names. Throws a ServiceError that lists what there is. */
export function specNamed(name: unknown, specs: readonly TensorSpec[], field: string, model: Signature): TensorSpec {
  const found = specs.find((spec) => spec.name === name);
  if (found !== undefined) return found;
  const allowed = specs.map((spec) => spec.name).join(', ');
  throw invalidField(field, `one of ${allowed} (model ${model.name})`, name);
}
