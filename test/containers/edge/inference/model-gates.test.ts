/** @jest-environment ./test/support/onnx-environment.cjs */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { createSessionHost } from '../../../../containers/edge/inference/execution/session-host';
import type { ExecutionHost } from '../../../../containers/edge/inference/execution/types';
import { FolderSource } from '../../../../containers/edge/inference/folder-source';
import { ModelRepository } from '../../../../containers/edge/inference/model-repository';
import { ModelManifest } from '../../../../lib/core/manifest';
import { temporaryDirectory } from '../../../support/edge-service';
import { testWorkerCommand } from '../../../support/model-workers';
import {
  deadlyModel,
  externalDataModel,
  externalWeights,
  identityModel,
  integerModel,
  rowMixingModel,
  throwingModel,
  zipMapModel,
} from '../../../support/odd-models';
import { tinyGolden, tinyManifest, tinyModel, writeModel } from '../../../support/tiny-models';

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const SHARED_MODELS = resolve(__dirname, '../../../../../shared/models');
const itShared = existsSync(SHARED_MODELS) ? it : it.skip;
const shaOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

let host: ExecutionHost;
let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let repository: ModelRepository;

beforeAll(() => {
  host = createSessionHost({ modelWorkers: 1, modelRunTimeoutMs: 30_000 }, log, testWorkerCommand());
});
afterAll(() => host.close());
beforeEach(async () => {
  folder = await temporaryDirectory();
  repository = new ModelRepository({ source: new FolderSource(folder.path), host, log, retryDelaysMs: [] });
});
afterEach(async () => {
  repository.close();
  await folder.remove();
});

/** Why version 1 of `model` is refused. */
async function reasonFor(model: string): Promise<string> {
  await expect(repository.prepare(model, '1')).rejects.toThrow();
  expect(repository.resident(model, '1')).toBeUndefined();
  const [version] = repository.report()[model] ?? [];
  expect(version?.state).toBe('refused');
  return version?.reason ?? '';
}

/** That the workers still answer, whatever a model did to one of them. */
async function expectHostToWork(): Promise<void> {
  await writeModel(folder.path, 'healthy', '1', tinyModel(2));
  const model = await repository.prepare('healthy', '1');
  const row = { name: 'features', datatype: 'FP32' as const, shape: [1, 3], data: Float32Array.of(1, 2, 3) };
  expect((await model.run([row]))[0]?.data).toEqual(Float32Array.of(12));
}

describe('a model that must not serve is refused with the reason', () => {
  const halved = tinyModel(1).subarray(0, 100);
  it.each([
    ['whose only output is a map', zipMapModel(), /^the model has no tensor output \(export it without ZipMap\)$/],
    [
      'of a future operator set',
      identityModel(999),
      /^ONNX Runtime cannot load the file: ONNX Runtime only .*Opset 999 is under development/s,
    ],
    ['cut off', halved, /^model\.onnx is not a whole ONNX file: at byte \d+ of 100, \d+ bytes should follow/],
    ['that is empty', Buffer.alloc(0), /^ONNX Runtime cannot load the file: /],
    ['that is no ONNX', Buffer.from('<html>'), /^model\.onnx is not a whole ONNX file: at byte 1 of 6, wire type 4/],
    [
      'that gives only NaN',
      tinyModel(Number.NaN),
      /^all \d+ numbers that the model gave in trials are NaN or infinite$/,
    ],
    ['that gives only infinities', tinyModel(Number.POSITIVE_INFINITY), /are NaN or infinite$/],
    ['that throws at run time', throwingModel(), /^the model runs with no input that was tried; .*Reshape/s],
    ['that ends its worker', deadlyModel(), /^model odd version 1: .*SIGFPE/],
  ])('%s', async (_, bytes, reason) => {
    await writeModel(folder.path, 'odd', '1', bytes);
    expect(await reasonFor('odd')).toMatch(reason);
    await expectHostToWork();
  });

  itShared('and one that has tensors beside its map serves these (skipped without ../shared)', async () => {
    mkdirSync(join(folder.path, 'iris_zipmap', '1'), { recursive: true });
    copyFileSync(join(SHARED_MODELS, 'iris_zipmap/1/model.onnx'), join(folder.path, 'iris_zipmap/1/model.onnx'));
    const model = await repository.prepare('iris_zipmap', '1');
    expect(model.outputs.map(({ name }) => name)).toEqual(['output_label']);
  });

  it('when its golden.json does not hold, beside no manifest', async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1));
    writeFileSync(join(folder.path, 'tiny', '1', 'golden.json'), JSON.stringify([tinyGolden(3)]));
    expect(await reasonFor('tiny')).toBe('golden sample 0: score[0] should be 18, got 6');
  });
});

describe('flipped bits', () => {
  const good = tinyModel(1);
  const flip = fc.record({ at: fc.nat(good.length - 1), bit: fc.nat(7) });
  const flipped = ({ at, bit }: { at: number; bit: number }) => {
    const bytes = Buffer.from(good);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
    return bytes;
  };

  it('are found by the SHA-256 of the manifest, wherever they are', async () => {
    let n = 0;
    await fc.assert(
      fc.asyncProperty(flip, async (where) => {
        n += 1;
        const model = `flipped${n}`;
        await writeModel(folder.path, model, '1', flipped(where), tinyManifest('1', 1, { model }));
        expect(await reasonFor(model)).toMatch(/^model\.onnx should have SHA-256 /);
      }),
      { numRuns: 50 },
    );
  });

  it('never end the service, and what they do to a model without a manifest is refused or served', async () => {
    let n = 0;
    await fc.assert(
      fc.asyncProperty(flip, async (where) => {
        n += 1;
        await writeModel(folder.path, `flipped${n}`, '1', flipped(where));
        const outcome = await repository.prepare(`flipped${n}`, '1').then(
          () => 'ready',
          (error: Error) => error.name,
        );
        expect(['ready', 'RefusedModel']).toContain(outcome);
      }),
      { numRuns: 40 },
    );
    await expectHostToWork();
  }, 120_000);
});

describe('external data', () => {
  const directory = () => join(folder.path, 'ext', '1');
  const weights = externalWeights(1, 2);

  it('beside the model is read', async () => {
    await writeModel(folder.path, 'ext', '1', externalDataModel('weights/model.data'));
    mkdirSync(join(directory(), 'weights'));
    writeFileSync(join(directory(), 'weights/model.data'), weights);
    const model = await repository.prepare('ext', '1');
    const x = { name: 'x', datatype: 'FP32' as const, shape: [1, 2], data: Float32Array.of(10, 20) };
    expect((await model.run([x]))[0]?.data).toEqual(Float32Array.of(11, 22));
    expect(model.sha256).not.toBe(shaOf(externalDataModel('weights/model.data')));
  });

  it.each([
    ['../../secret', 'must be a relative path that stays in the directory of model.onnx'],
    ['/etc/passwd', 'must be a relative path that stays in the directory of model.onnx'],
    ['a/../../../secret', 'must be a relative path that stays in the directory of model.onnx'],
    ['..\\secret', 'must be a relative path that stays in the directory of model.onnx'],
    ['*/_ORT_MEM_ADDR_/*', 'must be a relative path that stays in the directory of model.onnx'],
    ['', 'must be a relative path that stays in the directory of model.onnx'],
    ['link', 'must be a relative path that stays in the directory of model.onnx'],
    ['linked/secret', 'must be a relative path that stays in the directory of model.onnx'],
    ['nothing', 'is missing beside model.onnx'],
    ['folder', 'must be a file'],
  ])('at %j is refused, in the graph and in a subgraph', async (location, reason) => {
    writeFileSync(join(folder.path, 'secret'), weights);
    for (const nested of [false, true]) {
      const model = nested ? 'nested' : 'ext';
      await writeModel(folder.path, model, '1', externalDataModel(location, nested));
      symlinkSync(join(folder.path, 'secret'), join(folder.path, model, '1', 'link'));
      symlinkSync(folder.path, join(folder.path, model, '1', 'linked'));
      mkdirSync(join(folder.path, model, '1', 'folder'));
      expect(await reasonFor(model)).toBe(`external data ${JSON.stringify(location)} ${reason}`);
    }
  });

  it('must be what the manifest says', async () => {
    const bytes = externalDataModel('model.data');
    const tensor = { datatype: 'FP32' as const, shape: [-1, 2] };
    const manifest = (externalData: object) => ({
      ...tinyManifest('1', 1, { model: 'ext', bytes: bytes.length, sha256: shaOf(bytes), golden: [] }),
      inputs: [{ name: 'x', ...tensor }],
      outputs: [{ name: 'y', ...tensor }],
      ...externalData,
    });
    const entry = { location: 'model.data', sha256: shaOf(weights), bytes: weights.length };
    const cases: [object, Uint8Array, RegExp | undefined][] = [
      [{}, weights, /^externalData of manifest\.json lacks "model\.data"$/],
      [{ externalData: [entry] }, externalWeights(1, 3), /^model\.data should have SHA-256 /],
      [{ externalData: [entry] }, weights.subarray(4), /^model\.data should have 8 bytes, got 4$/],
      [{ externalData: [entry] }, weights, undefined],
    ];
    for (const [more, data, reason] of cases) {
      const fresh = new ModelRepository({ source: new FolderSource(folder.path), host, log, retryDelaysMs: [] });
      await writeModel(folder.path, 'ext', '1', bytes, manifest(more));
      writeFileSync(join(directory(), 'model.data'), data);
      const prepared = fresh.prepare('ext', '1');
      if (reason === undefined) await prepared;
      else await expect(prepared).rejects.toThrow(reason);
      fresh.close();
    }
  });

  it('cannot be published under a path that leaves the directory', () => {
    const entry = { location: '../x', sha256: 'a'.repeat(64), bytes: 1 };
    expect(ModelManifest.safeParse({ ...tinyManifest('1', 1), externalData: [entry] }).success).toBe(false);
  });
});

describe('the signature of the version that serves', () => {
  const wider = identityModel(17);
  const widerManifest = (changes: object) => ({
    ...tinyManifest('2', 1, { bytes: wider.length, sha256: shaOf(wider), golden: [] }),
    inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1, 2] }],
    outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [-1, 2] }],
    ...changes,
  });
  const serveFirst = async () => {
    await writeModel(folder.path, 'tiny', '1', tinyModel(1), tinyManifest('1', 1));
    await repository.prepare('tiny', '1');
    repository.activate('tiny', '1', []);
  };

  it('is kept: another one is refused, and named', async () => {
    await serveFirst();
    await writeModel(folder.path, 'tiny', '2', wider, widerManifest({}));
    await expect(repository.prepare('tiny', '2')).rejects.toThrow(
      'inputs should be features FP32 [-1,3], got x FP32 [-1,2], as in version 1, which serves; ' +
        'a version that is meant to differ says "signatureChange": true in its manifest',
    );
    expect(repository.live('tiny')?.version).toBe('1');
    // Known, and therefore not fetched again, for as long as the same version serves.
    await writeModel(folder.path, 'tiny', '2', tinyModel(1), tinyManifest('2', 1));
    await expect(repository.prepare('tiny', '2')).rejects.toThrow('as in version 1, which serves');
    repository.unload('tiny');
    await expect(repository.prepare('tiny', '2')).resolves.toMatchObject({ version: '2' });
  });

  it('changes where the manifest says so, and changes back', async () => {
    await serveFirst();
    await writeModel(folder.path, 'tiny', '2', wider, widerManifest({ signatureChange: true }));
    await repository.prepare('tiny', '2');
    repository.activate('tiny', '2', []);
    await repository.prepare('tiny', '1');
    repository.activate('tiny', '1', []);
    expect(repository.live('tiny')?.version).toBe('1');
  });

  it('is looked at again when a version becomes live that was prepared before', async () => {
    await writeModel(folder.path, 'tiny', '2', wider, widerManifest({}));
    await repository.prepare('tiny', '2');
    await serveFirst();
    expect(repository.report().tiny).toMatchObject([{ version: '1', state: 'active' }]);
    await expect(repository.prepare('tiny', '2')).rejects.toThrow('as in version 1, which serves');
  });
});

describe('how a version is run', () => {
  it.each([
    ['rows that are independent, together', tinyModel(1), 128],
    ['rows of several inputs, together', integerModel('Add'), 128],
    ['rows that are mixed, alone', rowMixingModel(), 0],
  ])('%s', async (_, bytes, maxBatchSize) => {
    await writeModel(folder.path, 'odd', '1', bytes);
    await repository.prepare('odd', '1');
    expect(repository.traits('odd', '1')?.maxBatchSize).toBe(maxBatchSize);
  });

  it('in a worker, where a client could have it divide integers', async () => {
    await writeModel(folder.path, 'odd', '1', integerModel('Div'));
    const model = await repository.prepare('odd', '1');
    expect(repository.traits('odd', '1')?.isInline).toBe(false);
    const tensor = (name: string, values: number[]) => ({
      name,
      datatype: 'INT32' as const,
      shape: [1, 2],
      data: Int32Array.from(values),
    });
    await expect(model.run([tensor('a', [-(2 ** 31), 1]), tensor('b', [-1, 1])])).rejects.toThrow(/SIGFPE/);
    await expectHostToWork();
  });
});
