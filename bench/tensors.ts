/**
 * CPU of reading and answering an inference request, against `JSON.parse` of the same body alone: FP32 of 1, 32 and 128
 * rows of 64, in JSON and as binary data; contenders take turns in one process.
 *
 *   npm run bench:tensors -- --seconds 0.2 --rounds 5
 */
import { parseInferRequest } from '../containers/edge/http/infer-request';
import { writeInferAnswer } from '../containers/edge/http/v2/infer-answer';
import { splitBody } from '../containers/edge/http/v2/request-body';
import { encodePrediction, predictionText } from '../containers/edge/inference/prediction-body';
import { tensorBytes } from '../containers/edge/inference/tensors';
import { seededRandom } from '../models/random';
import { type Effort, readEffort, runBenchmark } from './support/options';
import { median, printTable, short } from './support/report';

const WIDTH = 64;
const CLASSES = 10;
const ROWS = [1, 32, 128];
const MODEL = {
  name: 'm',
  version: '1',
  inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1, WIDTH] }],
  outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [-1, CLASSES] }],
};

async function main(): Promise<void> {
  const effort = readEffort({ seconds: 0.2, rounds: 5 });
  const table = ROWS.map((rows) => [`${rows} x ${WIDTH}`, ...measure(contenders(rows), effort)]);
  printTable(
    [
      'FP32, us of CPU',
      'JSON.parse',
      'read JSON',
      'read nested',
      'read binary',
      'write JSON',
      'write binary',
      '/predict text',
    ],
    table,
  );
}

function contenders(rows: number): (() => unknown)[] {
  const random = seededRandom(1);
  const elements = Float32Array.from({ length: rows * WIDTH }, () => random() * 2 - 1);
  const shape = [rows, WIDTH];
  const input = { name: 'x', datatype: 'FP32' as const, shape };
  const decimals = Array.from(elements, (value) => Number(value.toFixed(6)));
  const flat = Buffer.from(JSON.stringify({ inputs: [{ ...input, data: decimals }] }));
  const byRow = Array.from({ length: rows }, (_, row) => decimals.slice(row * WIDTH, (row + 1) * WIDTH));
  const nested = Buffer.from(JSON.stringify({ inputs: [{ ...input, data: byRow }] }));
  const bytes = tensorBytes({ data: elements });
  const head = Buffer.from(JSON.stringify({ inputs: [{ ...input, parameters: { binary_data_size: bytes.length } }] }));
  const binary = Buffer.concat([head, bytes]);
  const scores = Float32Array.from({ length: rows * CLASSES }, () => Math.fround(random()));
  const body = encodePrediction([{ name: 'y', datatype: 'FP32', shape: [rows, CLASSES], data: scores }]);
  const asked = (isBinary: boolean) => ({
    id: undefined,
    inputs: [],
    outputs: [{ index: 0, binary: isBinary, classes: undefined }],
    timeoutUs: undefined,
    form: undefined,
  });
  return [
    () => JSON.parse(flat.toString('latin1')),
    () => parseInferRequest(splitBody(flat, undefined), MODEL),
    () => parseInferRequest(splitBody(nested, undefined), MODEL),
    () => parseInferRequest(splitBody(binary, `${head.length}`), MODEL),
    () => writeInferAnswer(MODEL, asked(false), body),
    () => writeInferAnswer(MODEL, asked(true), body),
    () => predictionText(body),
  ];
}

/** Median CPU of each contender, microseconds. */
function measure(runs: readonly (() => unknown)[], { seconds, rounds }: Effort): string[] {
  const results = runs.map(() => [] as number[]);
  for (let round = 0; round < rounds; round += 1) {
    for (const [i, run] of runs.entries()) results[i]?.push(cpuPerRun(run, seconds));
  }
  return results.map((each) => short(median(each)));
}

function cpuPerRun(run: () => unknown, seconds: number): number {
  const start = process.cpuUsage();
  let count = 0;
  let used = 0;
  while (used < seconds * 1e6) {
    for (let i = 0; i < 50; i += 1) run();
    count += 50;
    const { user, system } = process.cpuUsage(start);
    used = user + system;
  }
  return used / count;
}

runBenchmark(main);
