/** @jest-environment ./test/support/onnx-environment.cjs */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FolderSource } from '../../../../containers/edge/inference/folder-source';
import { ModelRepository } from '../../../../containers/edge/inference/model-repository';
import type { LocalModelFile, ModelSource } from '../../../../containers/edge/inference/model-source';
import { RefusedModel } from '../../../../containers/edge/inference/refused-model';
import { temporaryDirectory } from '../../../support/edge-service';
import { tinyGolden, tinyManifest, tinyModel, writeModel } from '../../../support/tiny-models';

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const row = (data: number[]) => ({
  name: 'features',
  datatype: 'FP32' as const,
  shape: [1, data.length],
  data: Float32Array.from(data),
});

let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let repository: ModelRepository;

beforeEach(async () => {
  folder = await temporaryDirectory();
  repository = new ModelRepository({ source: new FolderSource(folder.path), log, retryDelaysMs: [] });
});
afterEach(async () => {
  repository.close();
  await folder.remove();
});

describe('preparing a version', () => {
  it('makes it ready without making it live', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1), tinyManifest('1', 1));
    await repository.prepare('tiny', '1');
    expect(repository.report()).toEqual({ tiny: [{ version: '1', state: 'ready' }] });
    expect(repository.live('tiny')).toBeUndefined();
    repository.activate('tiny', '1', []);
    expect(repository.report()).toEqual({ tiny: [{ version: '1', state: 'active' }] });
    expect(repository.live('tiny')?.version).toBe('1');
  });

  const nan = Buffer.from(tinyModel(Number.NaN));
  const other = tinyModel(2);
  const shaOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  it.each([
    ['bytes missing', tinyModel(1).subarray(1), {}, /^model\.onnx should have \d+ bytes, got \d+$/],
    ['other bytes', other, {}, /^model\.onnx should have SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}$/],
    [
      'another input',
      tinyModel(1),
      { inputs: [{ name: 'features', datatype: 'FP32' as const, shape: [-1, 4] }] },
      /^inputs should be features FP32 \[-1,4\], got features FP32 \[-1,3\]$/,
    ],
    ['other answers', other, { sha256: shaOf(other) }, /^golden sample 0: score\[0\] should be 6, got 12$/],
    ['NaN for an answer', nan, { sha256: shaOf(nan) }, /^golden sample 0: score\[0\] should be 6, got NaN$/],
    [
      'a golden sample that does not fit the model',
      tinyModel(1),
      { golden: [{ ...tinyGolden(1), inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [1], data: [1] }] }] },
      /features/,
    ],
    [
      'a manifest of another version',
      tinyModel(1),
      { version: '7' },
      /^manifest\.json should be of model tiny version 1, got tiny version 7$/,
    ],
    [
      'no ONNX',
      Buffer.from('x'),
      { bytes: 1, sha256: shaOf(Buffer.from('x')) },
      /^model\.onnx is not a whole ONNX file: at byte 1 of 1, it ends inside a number$/,
    ],
  ])('refuses %s, for good', async (_, bytes, changes, reason) => {
    await writeModel(folder.path, 'tiny', '1', bytes, tinyManifest('1', 1, changes));
    await expect(repository.prepare('tiny', '1')).rejects.toThrow(RefusedModel);
    expect(repository.report()).toEqual({
      tiny: [{ version: '1', state: 'refused', reason: expect.stringMatching(reason) }],
    });
    await writeModel(folder.path, 'tiny', '1', tinyModel(1), tinyManifest('1', 1));
    await expect(repository.prepare('tiny', '1')).rejects.toThrow(reason);
  });

  it('refuses a manifest that is not one, naming the field', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1), { ...tinyManifest('1', 1), bytes: -1 });
    await expect(repository.prepare('tiny', '1')).rejects.toThrow(/manifest\.json is not valid: .*\n.*bytes/);
    await writeFile(join(folder.path, 'tiny', '1', 'manifest.json'), '{');
    const again = new ModelRepository({ source: new FolderSource(folder.path), log, retryDelaysMs: [] });
    await expect(again.prepare('tiny', '1')).rejects.toThrow('manifest.json is not JSON');
  });

  it('happens once for all who ask at the same time, and is tried again after a passing failure', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1));
    const source = failingSource(new FolderSource(folder.path), 1);
    const retrying = new ModelRepository({ source, log, retryDelaysMs: [0] });
    const [first, second] = await Promise.all([retrying.prepare('tiny', '1'), retrying.prepare('tiny', '1')]);
    expect(first).toBe(second);
    expect(source.calls).toBe(2);
    retrying.close();
  });

  it('can be asked for again after it failed for a passing reason', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1));
    const impatient = new ModelRepository({
      source: failingSource(new FolderSource(folder.path), 1),
      log,
      retryDelaysMs: [],
    });
    await expect(impatient.prepare('tiny', '1')).rejects.toThrow('not replicated yet');
    expect(impatient.report()).toEqual({ tiny: [{ version: '1', state: 'refused', reason: 'not replicated yet' }] });
    await expect(impatient.prepare('tiny', '1')).resolves.toMatchObject({ version: '1' });
    impatient.close();
  });
});

describe('activating a version', () => {
  beforeEach(async () => {
    for (const [version, factor] of Object.entries({ '1': 1, '2': 2, '3': 3 })) {
      await writeModel(folder.path, 'tiny', version, tinyModel(factor));
      await repository.prepare('tiny', version);
    }
  });

  it('keeps the previous version and lets go of the rest', () => {
    repository.activate('tiny', '3', ['2']);
    expect(repository.residentVersions('tiny')).toEqual(['2', '3']);
    repository.activate('tiny', '2', ['3']);
    expect(repository.live('tiny')?.version).toBe('2');
  });

  it('leaves a leased version running until its lease ends', async () => {
    repository.activate('tiny', '1', []);
    const old = await repository.prepare('tiny', '1');
    const release = old.lease();
    await repository.prepare('tiny', '2');
    repository.activate('tiny', '2', []);
    const [output] = await old.run([row([1, 1, 1])]);
    expect(output?.data[0]).toBe(3);
    release();
    expect(() => old.lease()).toThrow('version 1 of model tiny has been retired');
    await expect(old.run([row([1, 1, 1])])).rejects.toThrow();
  });

  it('refuses what is not ready', () => {
    expect(() => repository.activate('tiny', '4', [])).toThrow('version 4 of model tiny cannot be activated');
  });
});

function failingSource(source: ModelSource, failures: number): ModelSource & { calls: number } {
  return {
    calls: 0,
    async fetchVersion(model: string, version: string): Promise<LocalModelFile> {
      this.calls += 1;
      if (this.calls <= failures) throw new Error('not replicated yet');
      return source.fetchVersion(model, version);
    },
  };
}
