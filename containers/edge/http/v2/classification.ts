import { writeBinaryStrings } from '../../inference/binary-elements';
import { type StoredOutput, storedElements } from '../../inference/prediction-body';
import { elementsOf } from '../../inference/tensors';

/**
 * The `count` highest elements of each row of an output, highest first, the lower index first among equals: BYTES
 * `value:index` of shape `[rows, count]`, or `[count]` for an output of rank 1 or 0, as Triton's classification
 * extension writes them (floats with six decimals; no labels, since an ONNX model has none). NaN comes last.
 * https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md
 */
export function classify(output: StoredOutput, count: number): StoredOutput {
  const { name, datatype, shape } = output;
  const elements = elementsOf({ name, datatype, shape, data: storedElements(output) }) as ArrayLike<number | bigint>;
  const isFloat = datatype.startsWith('FP');
  const rows = shape.length > 1 ? (shape[0] as number) : 1;
  const width = rows === 0 ? 0 : elements.length / rows;
  const classes = Math.min(count, width);
  const texts: string[] = [];
  for (let row = 0; row < rows; row += 1) {
    for (const index of highest(elements, row * width, width, classes)) {
      const value = elements[row * width + index] as number | bigint;
      texts.push(`${isFloat ? decimals(value as number) : value}:${index}`);
    }
  }
  const wanted = shape.length > 1 ? [rows, classes] : [classes];
  return { name, datatype: 'BYTES', shape: wanted, bytes: writeBinaryStrings(texts) };
}

function highest(elements: ArrayLike<number | bigint>, start: number, width: number, count: number): number[] {
  const rank = (index: number): number | bigint => {
    const value = elements[start + index] as number | bigint;
    return Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value;
  };
  const indexes = Array.from({ length: width }, (_, index) => index);
  indexes.sort((a, b) => (rank(a) > rank(b) ? -1 : rank(a) < rank(b) ? 1 : a - b));
  return indexes.slice(0, count);
}

/** As C's `%f`, which Triton writes; `toFixed` has an exponent from 1e21 on. */
function decimals(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${BigInt(value)}.000000`;
}
