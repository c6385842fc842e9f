import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { compareVersions, ModelName, ModelVersion } from '../../../lib/core/model-name';
import { digestOf } from './file-digest';
import { parseGoldenSamples, parseManifest } from './manifest-file';
import { type ModelSettings, parseTritonConfig } from './model-settings';
import type { LocalModelFile, ModelSource } from './model-source';

/**
 * Models in a folder `<name>/<version>/model.onnx`: the layout of a Triton model repository. Optional beside a version's
 * model are `manifest.json` or, alone, `golden.json`; beside the versions `config.pbtxt`.
 */
export class FolderSource implements ModelSource {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Every model in the folder with its versions, lowest first. Rejects when the folder cannot be read. */
  async list(): Promise<{ model: string; versions: string[] }[]> {
    const models = await directories(this.#folder, (name) => ModelName.safeParse(name).success);
    const listed = await Promise.all(
      models.map(async (model) => ({ model, versions: (await this.#versionsOf(model)).sort(compareVersions) })),
    );
    return listed.filter(({ versions }) => versions.length > 0);
  }

  async fetchVersion(model: string, version: string): Promise<LocalModelFile> {
    const folder = join(this.#folder, model, version);
    const path = join(folder, 'model.onnx');
    const manifestText = await readIfPresent(join(folder, 'manifest.json'));
    const goldenText = await readIfPresent(join(folder, 'golden.json'));
    const manifest = manifestText === undefined ? undefined : parseManifest(manifestText, model, version);
    const golden = goldenText === undefined ? [] : parseGoldenSamples(goldenText);
    const { sha256, bytes } = await digestOf(path);
    return { path, sha256, bytes, manifest, golden: manifest?.golden ?? golden, discard: async () => undefined };
  }

  /** Size and time of change of all that is read of a version; of external data only `model.onnx` is looked at. */
  async fingerprint(model: string, version: string): Promise<string> {
    const files = ['model.onnx', 'manifest.json', 'golden.json'].map((file) =>
      join(this.#folder, model, version, file),
    );
    const states = await Promise.all(files.map((file) => stat(file, { bigint: true }).catch(() => undefined)));
    return states.map((state) => (state === undefined ? '-' : `${state.ino}/${state.size}/${state.mtimeNs}`)).join(' ');
  }

  /** What `config.pbtxt` says of a model. Throws `RefusedModel` when it cannot be read. */
  async settingsOf(model: string): Promise<ModelSettings> {
    const text = await readIfPresent(join(this.#folder, model, 'config.pbtxt'));
    return text === undefined ? {} : parseTritonConfig(text);
  }

  async #versionsOf(model: string): Promise<string[]> {
    const versions = await directories(join(this.#folder, model), (name) => ModelVersion.safeParse(name).success);
    const present = await Promise.all(
      versions.map((version) => isFile(join(this.#folder, model, version, 'model.onnx'))),
    );
    return versions.filter((_, i) => present[i]);
  }
}

async function directories(folder: string, accept: (name: string) => boolean): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const candidates = entries.filter((entry) => accept(entry.name) && (entry.isDirectory() || entry.isSymbolicLink()));
  const areDirectories = await Promise.all(
    candidates.map(async (entry) => entry.isDirectory() || (await stat(join(folder, entry.name))).isDirectory()),
  );
  return candidates.filter((_, i) => areDirectories[i]).map((entry) => entry.name);
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
