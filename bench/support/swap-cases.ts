import { InferenceSession, Tensor } from 'onnxruntime-node';
import { seededRandom } from './keys';

/** A request with what each version of the model answers. */
export interface SwapCase {
  readonly request: Buffer;
  /** By version: the elements of `output`. */
  readonly expected: ReadonlyMap<string, Float32Array>;
  readonly output: string;
}

const ROWS_AT_ONCE = 500;
/** As far apart as two versions must be for an answer to tell whose it is. */
const DISTINCT = 0.01;
const RELATIVE = 1e-3;
const ABSOLUTE = 1e-5;

/**
 * Random rows for a model with one FP32 input [-1, N] and an FP32 output, with the answers of every version, computed
 * here. Rows for which two versions nearly agree are left out: nobody could tell them apart.
 */
export async function swapCases(model: string, files: ReadonlyMap<string, string>, count: number): Promise<SwapCase[]> {
  const sessions = new Map<string, InferenceSession>();
  for (const [version, file] of files) {
    sessions.set(version, await InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 }));
  }
  const [first] = sessions.values();
  const [input] = first?.inputMetadata ?? [];
  const output = first?.outputMetadata.find((each) => each.isTensor && each.type === 'float32')?.name;
  const width = input?.isTensor === true ? Number(input.shape[1]) : Number.NaN;
  if (input === undefined || output === undefined || !(width > 0)) {
    throw new Error(`model ${model} must have one FP32 input [-1, N] and an FP32 output`);
  }
  const random = seededRandom(1);
  const cases: SwapCase[] = [];
  while (cases.length < count) {
    const rows = Float32Array.from({ length: ROWS_AT_ONCE * width }, () => Math.round(random() * 16) / 16);
    const answers = await answersTo(sessions, input.name, output, rows, width);
    for (let row = 0; row < ROWS_AT_ONCE && cases.length < count; row += 1) {
      const expected = new Map([...answers].map(([version, data]) => [version, rowOf(data, row)]));
      if (!areDistinct([...expected.values()])) continue;
      const features = rows.subarray(row * width, (row + 1) * width);
      cases.push({ request: requestOf(model, input.name, features), expected, output });
    }
  }
  for (const session of sessions.values()) await session.release();
  return cases;
}

/** Whether outputs are what a version gives for a case. */
export function matches(
  { expected, output }: SwapCase,
  version: string,
  outputs: readonly { readonly name: string; readonly data: readonly number[] }[],
): boolean {
  const wanted = expected.get(version);
  const got = outputs.find(({ name }) => name === output)?.data;
  if (wanted === undefined || got === undefined || wanted.length !== got.length) return false;
  return wanted.every((value, i) => Math.abs(value - (got[i] ?? Number.NaN)) <= RELATIVE * Math.abs(value) + ABSOLUTE);
}

async function answersTo(
  sessions: ReadonlyMap<string, InferenceSession>,
  input: string,
  output: string,
  rows: Float32Array,
  width: number,
): Promise<Map<string, Float32Array>> {
  const answers = new Map<string, Float32Array>();
  for (const [version, session] of sessions) {
    const results = await session.run({ [input]: new Tensor('float32', rows, [ROWS_AT_ONCE, width]) }, [output]);
    answers.set(version, results[output]?.data as Float32Array);
  }
  return answers;
}

function rowOf(data: Float32Array, row: number): Float32Array {
  const width = data.length / ROWS_AT_ONCE;
  return data.slice(row * width, (row + 1) * width);
}

function areDistinct([first, second]: readonly Float32Array[]): boolean {
  return first?.some((value, i) => Math.abs(value - (second?.[i] ?? value)) > DISTINCT) === true;
}

function requestOf(model: string, name: string, features: Float32Array): Buffer {
  const inputs = [{ name, datatype: 'FP32', shape: [1, features.length], data: [...features] }];
  const body = JSON.stringify({ inputs });
  const head =
    `POST /v2/models/${model}/infer HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n` +
    `content-length: ${Buffer.byteLength(body)}\r\n\r\n`;
  return Buffer.from(head + body);
}
