import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { buildModels, RANKER_MODEL } from '../models/build';
import { seededRandom } from '../models/random';
import { generateImpressions } from '../models/ranker/clicks';
import { PROJECT_ROOT, StartError } from './state';
import { filesUnder } from './synthesis';

const OUT_DIR = join(PROJECT_ROOT, '.build', 'models');
const VERSION = '1';
/** Each step takes well under a second here; longer means that something is wired wrongly. */
const PUBLISH_TIMEOUT_SECONDS = 20;
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
