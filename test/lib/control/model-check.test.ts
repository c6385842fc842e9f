/** @jest-environment ./test/support/onnx-environment.cjs */
import { checkModel } from '../../../lib/control/model-check';
import type { Datatype } from '../../../lib/core/manifest';
import { identityModel } from '../../support/identity-model';
import { scalingModel, scalingSample } from '../../support/scaling-model';

describe('check of a model before it is published', () => {
  it('reads the signature, dynamic axes as -1', async () => {
    await expect(checkModel(scalingModel(2), [], 1e-4)).resolves.toEqual({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
    });
  });

  it('passes golden samples within the tolerance', async () => {
    await expect(checkModel(scalingModel(2), [scalingSample(2.0001)], 1e-4)).resolves.toBeDefined();
  });

  it('names the element that differs', async () => {
    await expect(checkModel(scalingModel(2), [scalingSample(2), scalingSample(3)], 1e-4)).rejects.toThrow(
      'golden sample 1: y[0] should be 3, got 2 (tolerance 0.0001)',
    );
  });

  it('refuses a sample for an input that the model does not have', async () => {
    const sample = scalingSample(2);
    const misspelt = { ...sample, inputs: sample.inputs.map((input) => ({ ...input, name: 'X' })) };
    await expect(checkModel(scalingModel(2), [misspelt], 1e-4)).rejects.toThrow(
      'golden sample 0: the model has no input X (FP32); it has x (FP32)',
    );
  });

  it('refuses a sample whose data does not fill its shape', async () => {
    const sample = scalingSample(2);
    const short = { ...sample, inputs: sample.inputs.map((input) => ({ ...input, shape: [2, 2] })) };
    await expect(checkModel(scalingModel(2), [short], 1e-4)).rejects.toThrow(
      'x of shape [2, 2] needs 4 elements, got 2',
    );
  });

  it('refuses an output of another shape', async () => {
    const sample = scalingSample(2);
    const flat = { ...sample, outputs: sample.outputs.map((output) => ({ ...output, shape: [2] })) };
    await expect(checkModel(scalingModel(2), [flat], 1e-4)).rejects.toThrow('y should be FP32 [2], got FP32 [1, 2]');
  });

  it.each<[Datatype, (number | string | boolean)[]]>([
    ['FP16', [0.5, 'NaN']],
    ['INT64', ['9223372036854775807', -1]],
    ['BOOL', [true, false]],
    ['BYTES', ['é', '']],
  ])('compares %s by its value', async (datatype, data) => {
    const sample = (outputs: typeof data) => ({
      inputs: [{ name: 'x', datatype, shape: [2], data }],
      outputs: [{ name: 'y', datatype, shape: [2], data: outputs }],
    });
    const model = identityModel(datatype, ['n']);
    await expect(checkModel(model, [sample(data)], 1e-4)).resolves.toBeDefined();
    await expect(checkModel(model, [sample([...data].reverse())], 1e-4)).rejects.toThrow(
      'golden sample 0: y[0] should be',
    );
  });

  it('refuses bytes that are not a model', async () => {
    await expect(checkModel(Buffer.from('not a model'), [], 1e-4)).rejects.toThrow(
      'ONNX Runtime does not load the model',
    );
  });
});
