import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { goldenSamples, networkToOnnx } from './ranker/export';
import { trainRankerVersions } from './ranker/versions';

/** Name under which the project's own model is published. */
export const RANKER_MODEL = 'ranker';

/** Files of one built model version. */
export interface BuiltVersion {
  readonly model: string;
  readonly version: string;
  /** Path of the ONNX file. */
  readonly onnxFile: string;
  /** Path of its golden samples, a JSON array of `GoldenSample`. */
  readonly goldenFile: string;
  /** Area under the ROC curve on held-out data, 0.5 (chance) to 1. */
  readonly heldOutAuc: number;
  readonly description: string;
}

/**
 * Trains the project's own model and writes `<outDir>/ranker/<version>/{model.onnx,golden.json}`, each file whole or
 * not at all. Takes a few seconds; equal runs write equal bytes.
 * @param onProgress called with one line for each finished version
 */
export function buildModels(outDir: string, onProgress: (line: string) => void = () => {}): BuiltVersion[] {
  const built: BuiltVersion[] = [];
  for (const { version, network, heldOutAuc, description } of trainRankerVersions()) {
    const directory = join(outDir, RANKER_MODEL, String(version));
    const onnxFile = join(directory, 'model.onnx');
    const goldenFile = join(directory, 'golden.json');
    mkdirSync(directory, { recursive: true });
    writeWhole(onnxFile, networkToOnnx(network, version, description));
    writeWhole(goldenFile, `${JSON.stringify(goldenSamples(network), null, 2)}\n`);
    built.push({ model: RANKER_MODEL, version: String(version), onnxFile, goldenFile, heldOutAuc, description });
    onProgress(description);
  }
  return built;
}

function writeWhole(file: string, content: Uint8Array | string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, content);
  renameSync(temporary, file);
}

if (require.main === module) {
  const outDir = resolve(process.argv[2] ?? join('.build', 'models'));
  process.stderr.write(`training models into ${outDir}\n`);
  buildModels(outDir, (line) => process.stderr.write(`  ${line}\n`));
}
