import type { TensorSpec } from '../../../lib/core/manifest';
import type { OnnxFileFacts } from './onnx-file';

/** Warm 99th percentile of a run below which handing it to a worker costs more than it saves, ms. */
export const INLINE_BELOW_MS = 0.3;

/** Operators whose time is for the values of an input to say, so that no measurement of others bounds it. */
const UNBOUNDED: readonly string[] = ['Loop', 'Scan', 'SequenceMap', 'ConstantOfShape', 'Range', 'Expand', 'Tile'];
/** On integers these end the process for -2^31 / -1, which the processor traps (seen with ONNX Runtime 1.30 on x86-64). */
const TRAPPING: readonly string[] = ['Div', 'Mod'];
/** Operators that make integers out of floating-point numbers. */
const INTEGER_MAKING: readonly string[] = ['Cast', 'CastLike', 'Shape', 'Size', 'ArgMax', 'ArgMin', 'TopK', 'NonZero'];

/**
 * Whether a model may run on the service's own thread, where it holds up every request and takes the process with it if
 * it ends: only when it is measured to be short, and no input could make it long or deadly.
 */
export function mayRunInline(warmP99Ms: number, inputs: readonly TensorSpec[], { operators }: OnnxFileFacts): boolean {
  if (warmP99Ms >= INLINE_BELOW_MS) return false;
  const hasAny = (names: readonly string[]) => names.some((name) => operators.has(name));
  const growsByAxis = inputs.some(({ shape }) => shape.some((axis, i) => axis === -1 && i > 0));
  if (growsByAxis || hasAny(UNBOUNDED)) return false;
  const hasIntegers = hasAny(INTEGER_MAKING) || inputs.some(({ datatype }) => !datatype.startsWith('FP'));
  return !(hasIntegers && hasAny(TRAPPING));
}
