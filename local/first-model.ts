import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { elementsAgree } from '../lib/core/golden';
import { GoldenSample } from '../lib/core/manifest';
import { buildModels, RANKER_MODEL } from '../models/build';
import { seededRandom } from '../models/random';
import { generateImpressions } from '../models/ranker/clicks';
import { PROJECT_ROOT, StartError } from './state';
import { filesUnder } from './synthesis';

const OUT_DIR = join(PROJECT_ROOT, '.build', 'models');
const VERSION = '1';
/** Each step takes well under a second here; longer means that something is wired wrongly. */
const PUBLISH_TIMEOUT_SECONDS = 20;
/** Largest relative error of the first prediction against the model's own golden sample. */
const TOLERANCE = 1e-4;
const Prediction = z.looseObject({ prediction: z.number().optional() });
const DEMO_ROWS = 40;
const DEMO_SEED = 11;

/** The project's own model, ready to be published. */
export interface FirstModel {
  readonly onnxFile: string;
  readonly goldenFile: string;
  /** Feature rows of typical viewers, for the demonstration. */
  readonly rows: readonly (readonly number[])[];
  /** True when an earlier start had trained it from the same sources. */
  readonly reused: boolean;
}

/** Viewers' feature rows, rounded so that they read well in a query string. */
function demoRows(): number[][] {
  return generateImpressions(seededRandom(DEMO_SEED), DEMO_ROWS).map(({ features }) =>
    features.map((value) => Math.round(value * 1000) / 1000),
  );
}

/** Trains the model, or finds it as an earlier start left it. */
export async function firstModel(): Promise<FirstModel> {
  const hash = createHash('sha256');
  for (const file of filesUnder(join(PROJECT_ROOT, 'models')))
    hash.update(`\0${relative(PROJECT_ROOT, file)}\0`).update(readFileSync(file));
  const fingerprint = hash.digest('hex');
  const marker = join(OUT_DIR, 'built-from');
  const reused = existsSync(marker) && readFileSync(marker, 'utf8') === fingerprint;
  if (!reused) {
    rmSync(marker, { force: true });
    buildModels(OUT_DIR);
    writeFileSync(marker, fingerprint);
  }
  const directory = join(OUT_DIR, RANKER_MODEL, VERSION);
  return {
    onnxFile: join(directory, 'model.onnx'),
    goldenFile: join(directory, 'golden.json'),
    rows: demoRows(),
    reused,
  };
}

/**
 * Asks the CDN for the model's first golden sample.
 * @throws StartError when the answer is not the one that the training computed
 */
export async function checkFirstPrediction(url: string, { goldenFile }: FirstModel): Promise<void> {
  const [sample] = z.array(GoldenSample).parse(JSON.parse(readFileSync(goldenFile, 'utf8')));
  const features = sample?.inputs[0]?.data;
  const response = await fetch(`${url}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: RANKER_MODEL, features }),
  });
  const text = await response.text();
  const { prediction } = response.status === 200 ? Prediction.parse(JSON.parse(text)) : {};
  const expected = sample?.outputs[0]?.data[0];
  if (expected === undefined || !elementsAgree(expected, prediction, TOLERANCE)) {
    throw new StartError(
      `the first prediction should be ${expected}; POST ${url}/predict answered ${response.status} ${text}`,
    );
  }
}

/**
 * Publishes version 1 the way its owner would: with the CLI, against the running CDN.
 * @throws StartError with what the CLI said
 */
export function publishFirstModel({ onnxFile, goldenFile }: FirstModel, signal: AbortSignal): Promise<void> {
  const args = ['publish', onnxFile, '--name', RANKER_MODEL, '--version', VERSION, '--golden', goldenFile];
  args.push('--timeout', String(PUBLISH_TIMEOUT_SECONDS));
  const child = spawn(process.execPath, [join(PROJECT_ROOT, 'bin', 'mlcdn.cjs'), ...args], {
    cwd: PROJECT_ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new StartError(`publishing ${RANKER_MODEL} ${VERSION} failed:\n${output.trim()}`));
    });
  });
}
