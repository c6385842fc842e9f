import type { TensorSpec } from '../../../../lib/core/manifest';
import { isStrings, type NumericData, type TensorData } from '../datatypes';
import type { Tensor } from '../tensors';

/** Inputs in the order of the signature, whatever the order they were sent in: batches join them by position. */
export function inSignatureOrder(specs: readonly TensorSpec[], inputs: readonly Tensor[]): readonly Tensor[] {
  if (specs.every((spec, i) => inputs[i]?.name === spec.name)) return inputs;
  return specs.flatMap((spec) => inputs.filter((input) => input.name === spec.name));
}

/**
 * Requests whose inputs may be joined along axis 0 have the same name for their group: the inner shapes. `undefined`
 * for a request whose inputs differ in their number of rows, or that has none: it runs by itself.
 */
export function groupOf(inputs: readonly Tensor[]): string | undefined {
  const rows = inputs[0]?.shape[0] ?? 0;
  if (rows === 0) return undefined;
  const [only] = inputs;
  // The engine keeps the texts of small numbers, so that a name of one costs nothing to write and to look up.
  if (only !== undefined && inputs.length === 1 && only.shape.length === 2) return String(only.shape[1]);
  let group = '';
  for (const { shape } of inputs) {
    if (shape[0] !== rows) return undefined;
    for (let axis = 1; axis < shape.length; axis += 1) group += `${shape[axis]},`;
    group += ';';
  }
  return group;
}

/** The inputs of requests of one group, joined along axis 0 in order: `rows` rows altogether. */
export function joinInputs(requests: readonly (readonly Tensor[])[], rows: number): Tensor[] {
  const [first = []] = requests;
  return first.map((tensor, input) => {
    const shape = tensor.shape.slice();
    shape[0] = rows;
    const parts = requests.map((request) => request[input]?.data ?? []);
    return { name: tensor.name, datatype: tensor.datatype, shape, data: joinData(tensor.data, parts) };
  });
}

function joinData(like: TensorData, parts: readonly TensorData[]): TensorData {
  if (isStrings(like)) return (parts as (readonly string[])[]).flat();
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const Elements = like.constructor as new (length: number) => NumericData;
  const joined = new Elements(total);
  let end = 0;
  for (const part of parts) {
    // One datatype, by the model's signature; the compiler cannot know that both are the same kind of array.
    joined.set(part as unknown as ArrayLike<never>, end);
    end += part.length;
  }
  return joined;
}

/** Whether every output has one row for each row of the input, as it must to be split. */
export function splitsInto(outputs: readonly Tensor[], rows: number): boolean {
  return outputs.every(({ shape }) => shape[0] === rows);
}

/**
 * Gives the outputs of a batch in parts, `rows` rows of each from the row `from` on. The data are views of the batch's:
 * who keeps them past the answer copies them, or one row keeps all rows in memory. Parts of as many rows as the one
 * before share its shapes.
 */
export function rowsOf(outputs: readonly Tensor[]): (from: number, rows: number) => Tensor[] {
  const widths = outputs.map(({ shape, data }) => data.length / (shape[0] ?? 1));
  let shapes: number[][] = [];
  let shapedFor = -1;
  return (from, rows) => {
    if (rows !== shapedFor) {
      shapes = outputs.map(({ shape }) => [rows, ...shape.slice(1)]);
      shapedFor = rows;
    }
    return outputs.map(({ name, datatype, data }, i) => {
      const width = widths[i] as number;
      return { name, datatype, shape: shapes[i] as number[], data: viewOf(data, from * width, (from + rows) * width) };
    });
  };
}

function viewOf(data: TensorData, from: number, to: number): TensorData {
  return isStrings(data) ? data.slice(from, to) : data.subarray(from, to);
}

/** Bytes that a tensor's elements hold; of strings about, at two bytes a character. */
export function bytesOf(inputs: readonly Tensor[]): number {
  let bytes = 0;
  for (const { data } of inputs) {
    if (isStrings(data)) for (const text of data) bytes += 2 * text.length;
    else bytes += data.byteLength;
  }
  return bytes;
}
