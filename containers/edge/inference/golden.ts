import { elementsAgree } from '../../../lib/core/golden';
import type { GoldenSample, TensorValue } from '../../../lib/core/manifest';
import { RefusedModel } from './refused-model';
import { elementsOf, fromTensorValue, type Tensor } from './tensors';

/** Runs a model's golden samples. Throws `RefusedModel` naming the first element that differs. */
export async function checkGoldenSamples(
  run: (inputs: readonly Tensor[]) => Promise<readonly Tensor[]>,
  samples: readonly GoldenSample[],
  tolerance: number,
): Promise<void> {
  for (const [i, sample] of samples.entries()) {
    const outputs = await run(sample.inputs.map(fromTensorValue));
    for (const expected of sample.outputs) {
      const difference = findDifference(expected, outputs, tolerance);
      if (difference !== undefined) throw new RefusedModel(`golden sample ${i}: ${difference}`);
    }
  }
}

function findDifference(expected: TensorValue, outputs: readonly Tensor[], tolerance: number): string | undefined {
  const actual = outputs.find((output) => output.name === expected.name);
  if (actual === undefined) return `the model has no output ${expected.name}`;
  if (actual.datatype !== expected.datatype || `${actual.shape}` !== `${expected.shape}`) {
    const got = `${actual.datatype} [${actual.shape}]`;
    return `${expected.name} should be ${expected.datatype} [${expected.shape}], got ${got}`;
  }
  const elements = elementsOf(actual);
  const wrong = expected.data.findIndex((value, i) => !elementsAgree(value, elements[i], tolerance));
  if (wrong === -1) return undefined;
  return `${expected.name}[${wrong}] should be ${expected.data[wrong]}, got ${elements[wrong]}`;
}
