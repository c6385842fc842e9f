import { elementsAgree } from '../../../lib/core/golden';
import type { GoldenSample, TensorSpec } from '../../../lib/core/manifest';
import { codecOf, type TensorData } from './datatypes';
import type { OnnxSession } from './onnx-session';
import { concatenate, elementCount, fromTensorValue, splitRows, type Tensor } from './tensors';

const WARM_UP_RUNS = 3;

/** Runs a model a few times, so that the first request does not pay for what ONNX Runtime allocates lazily. */
export async function warmUp(session: OnnxSession, golden: readonly GoldenSample[]): Promise<void> {
  const inputs = golden[0]?.inputs.map(fromTensorValue) ?? session.inputs.map((spec) => syntheticTensor(spec, 0));
  for (let i = 0; i < WARM_UP_RUNS; i += 1) {
    // Zeros may be an input that the model rightly refuses (an audio window of one sample); only golden inputs must run.
    const ran = await session.run(inputs).then(
      () => true,
      () => false,
    );
    if (!ran) return;
  }
}

/**
 * Whether rows may be run together: one input, axis 0 dynamic in it and in every output, and a trial in which two
 * different rows give alone what they give together, within `tolerance`. Many exported models declare a dynamic axis
 * and mix its rows all the same.
 */
export async function canRunRowsTogether(
  session: OnnxSession,
  golden: readonly GoldenSample[],
  tolerance: number,
): Promise<boolean> {
  const [input, ...others] = session.inputs;
  if (input === undefined || others.length > 0) return false;
  if (![input, ...session.outputs].every((spec) => spec.shape[0] === -1)) return false;
  try {
    const [first, second] = trialRows(input, golden);
    const alone = [await session.run([first]), await session.run([second])];
    const together = (await session.run([concatenate([first, second])])).map(splitRows);
    return alone.every((outputs, row) =>
      outputs.every((output, i) => sameTensor(output, together[i]?.[row], together[i]?.length === 2, tolerance)),
    );
  } catch {
    return false;
  }
}

function trialRows(input: TensorSpec, golden: readonly GoldenSample[]): [Tensor, Tensor] {
  const rows = golden
    .flatMap((sample) => sample.inputs.map(fromTensorValue))
    .filter((tensor) => tensor.shape[0] === 1)
    .slice(0, 2);
  const [first = syntheticTensor(input, 0), second = syntheticTensor(input, 1)] = rows;
  return [first, second];
}

function sameTensor(alone: Tensor, together: Tensor | undefined, twoRows: boolean, tolerance: number): boolean {
  if (together === undefined || !twoRows || `${alone.shape}` !== `${together.shape}`) return false;
  return Array.from<string | number | bigint>(alone.data).every((value, i) =>
    elementsAgree(value, together.data[i], tolerance),
  );
}

/** An input for trials: dynamic axes are 1, elements `seed` times 0 or 1 in turn. */
function syntheticTensor(spec: TensorSpec, seed: number): Tensor {
  const shape = spec.shape.map((axis) => (axis === -1 ? 1 : axis));
  const numbers = Array.from({ length: elementCount(shape) }, (_, i) => ((i + 1) % 2) * seed);
  return { name: spec.name, datatype: spec.datatype, shape, data: syntheticData(spec, numbers) };
}

function syntheticData(spec: TensorSpec, numbers: readonly number[]): TensorData {
  if (spec.datatype === 'BYTES') return numbers.map(String);
  if (spec.datatype === 'BOOL') return Uint8Array.from(numbers);
  const codec = codecOf(spec.datatype);
  if (codec === undefined) throw new Error(`datatype ${spec.datatype} cannot be run`);
  return codec.parse(numbers, spec.name);
}
