// ONNX Runtime reports usage unless this is set before it loads.
import './ort-telemetry-off';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { datatypeOfOnnxType } from '../core/datatypes';
import { elementsAgree } from '../core/golden';
import type { GoldenSample, TensorSpec, TensorValue } from '../core/manifest';
import { ControlError, reasonOf } from './errors';
import { asTensor, elementsOf } from './tensor-values';

/** What a model says of itself. */
export interface ModelSignature {
  readonly inputs: TensorSpec[];
  readonly outputs: TensorSpec[];
}

/**
 * Loads a model with ONNX Runtime, reads its signature and runs its golden samples.
 * @param tolerance largest relative error of a golden output; 1e-6 absolute is always allowed
 * @throws ControlError when it does not load, has an input or output that the service cannot carry, or differs from a sample
 */
export async function checkModel(
  onnx: Uint8Array,
  golden: readonly GoldenSample[],
  tolerance: number,
): Promise<ModelSignature> {
  const session = await load(onnx);
  try {
    const signature = {
      inputs: session.inputMetadata.map((value) => tensorSpec('input', value)),
      outputs: session.outputMetadata.map((value) => tensorSpec('output', value)),
    };
    for (const [index, sample] of golden.entries()) {
      await checkSample(session, signature, sample, tolerance).catch((error) => {
        throw new ControlError(`golden sample ${index}: ${reasonOf(error)}`);
      });
    }
    return signature;
  } finally {
    await session.release();
  }
}

async function load(onnx: Uint8Array): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(onnx, { logSeverityLevel: 3 });
  } catch (error) {
    throw new ControlError(`ONNX Runtime does not load the model: ${reasonOf(error)}`);
  }
}

function tensorSpec(role: string, value: InferenceSession.ValueMetadata): TensorSpec {
  if (!value.isTensor) {
    throw new ControlError(`${role} ${value.name} is not a tensor; export the model without maps and sequences`);
  }
  const datatype = datatypeOfOnnxType(value.type);
  if (datatype === undefined) {
    throw new ControlError(`${role} ${value.name} has element type ${value.type}, which the service cannot carry`);
  }
  return { name: value.name, datatype, shape: value.shape.map((axis) => (typeof axis === 'number' ? axis : -1)) };
}

async function checkSample(
  session: InferenceSession,
  signature: ModelSignature,
  sample: GoldenSample,
  tolerance: number,
): Promise<void> {
  // ONNX Runtime ignores inputs that it does not know, so a misspelt name would go unnoticed.
  for (const { name, datatype } of sample.inputs) {
    const spec = signature.inputs.find((input) => input.name === name);
    if (spec?.datatype === datatype) continue;
    const known = signature.inputs.map((input) => `${input.name} (${input.datatype})`).join(', ');
    throw new ControlError(`the model has no input ${name} (${datatype}); it has ${known}`);
  }
  const feeds = Object.fromEntries(sample.inputs.map((input) => [input.name, asTensor(input)]));
  const results = await session.run(
    feeds,
    sample.outputs.map(({ name }) => name),
  );
  for (const expected of sample.outputs) compare(expected, results[expected.name], tolerance);
}

function compare(expected: TensorValue, actual: unknown, tolerance: number): void {
  if (!(actual instanceof Tensor)) throw new ControlError(`output ${expected.name} is not a tensor`);
  const expectedType = `${expected.datatype} [${expected.shape.join(', ')}]`;
  const actualType = `${datatypeOfOnnxType(actual.type)} [${actual.dims.join(', ')}]`;
  if (actualType !== expectedType)
    throw new ControlError(`${expected.name} should be ${expectedType}, got ${actualType}`);
  const elements = elementsOf(actual);
  expected.data.forEach((wanted, index) => {
    const got = elements[index];
    if (!elementsAgree(wanted, got, tolerance)) {
      throw new ControlError(`${expected.name}[${index}] should be ${wanted}, got ${got} (tolerance ${tolerance})`);
    }
  });
}
