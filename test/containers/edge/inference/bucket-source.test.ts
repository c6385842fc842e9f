/** @jest-environment ./test/support/onnx-environment.cjs */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { BucketSource } from '../../../../containers/edge/inference/bucket-source';
import { ModelRepository } from '../../../../containers/edge/inference/model-repository';
import { externalDataKey, manifestKey, modelKey } from '../../../../lib/core/model-name';
import { startBucket, type TestBucket } from '../../../support/bucket';
import { temporaryDirectory } from '../../../support/edge-service';
import { externalDataModel, externalWeights } from '../../../support/odd-models';
import { tinyManifest, tinyModel } from '../../../support/tiny-models';

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const shaOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

let bucket: TestBucket;
let client: S3Client;
let disk: Awaited<ReturnType<typeof temporaryDirectory>>;
let source: BucketSource;
let repository: ModelRepository;

beforeEach(async () => {
  bucket = await startBucket();
  disk = await temporaryDirectory();
  client = new S3Client({
    region: 'eu-west-1',
    endpoint: bucket.endpoint,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
  });
  source = new BucketSource({ client, bucket: bucket.name, downloadDir: disk.path });
  repository = new ModelRepository({ source, log, retryDelaysMs: [] });
});
afterEach(async () => {
  repository.close();
  client.destroy();
  await bucket.stop();
  await disk.remove();
});

const downloads = () => readdirSync(disk.path);

/** Waits until the freed models' files are gone; what never goes is Jest's time limit. */
async function untilDownloads(count: number): Promise<void> {
  while (downloads().length !== count) await new Promise((resolve) => setImmediate(resolve));
}

function publish(version: string, factor: number, changes: object = {}): void {
  bucket.put(modelKey('tiny', version), tinyModel(factor));
  bucket.put(manifestKey('tiny', version), JSON.stringify({ ...tinyManifest(version, factor), ...changes }));
}

describe('the files of a version', () => {
  it('stay as long as it is in memory, and go with it', async () => {
    publish('1', 1);
    publish('2', 2);
    await repository.prepare('tiny', '1');
    await repository.prepare('tiny', '2');
    expect(downloads()).toHaveLength(2);
    repository.activate('tiny', '2', []);
    await untilDownloads(1);
    repository.unload('tiny');
    await untilDownloads(0);
  });

  it.each([
    ['bytes that are not the published ones', { sha256: '0'.repeat(64) }],
    ['more bytes than were published', { bytes: 10 }],
    ['a golden sample that does not hold', { golden: tinyManifest('1', 7).golden }],
  ])('go at once with %s', async (_, changes) => {
    publish('1', 1, changes);
    await expect(repository.prepare('tiny', '1')).rejects.toThrow();
    expect(downloads()).toEqual([]);
  });

  it('include its external data', async () => {
    const model = externalDataModel('weights/model.data');
    const weights = externalWeights(1, 2);
    const tensor = { datatype: 'FP32' as const, shape: [-1, 2] };
    const manifest = {
      ...tinyManifest('1', 1, { model: 'ext', bytes: model.length, sha256: shaOf(model), golden: [] }),
      inputs: [{ name: 'x', ...tensor }],
      outputs: [{ name: 'y', ...tensor }],
      externalData: [{ location: 'weights/model.data', sha256: shaOf(weights), bytes: weights.length }],
    };
    bucket.put(modelKey('ext', '1'), model);
    bucket.put(manifestKey('ext', '1'), JSON.stringify(manifest));
    bucket.put(externalDataKey('ext', '1', 'weights/model.data'), weights);
    const loaded = await repository.prepare('ext', '1');
    const x = { name: 'x', datatype: 'FP32' as const, shape: [1, 2], data: Float32Array.of(1, 1) };
    expect((await loaded.run([x]))[0]?.data).toEqual(Float32Array.of(2, 3));

    bucket.put(externalDataKey('ext', '2', 'weights/model.data'), externalWeights(1, 3));
    bucket.put(modelKey('ext', '2'), model);
    bucket.put(manifestKey('ext', '2'), JSON.stringify({ ...manifest, version: '2' }));
    await expect(repository.prepare('ext', '2')).rejects.toThrow(/^weights\/model\.data should have SHA-256 /);
  });
});

it('lists the versions of one model that have a manifest', async () => {
  publish('1', 1);
  publish('10', 1);
  bucket.put(modelKey('tiny', '11'), tinyModel(1));
  bucket.put(manifestKey('tiny2', '5'), '{}');
  expect(await source.listVersions('tiny')).toEqual(['1', '10']);
});

describe('what a killed process left', () => {
  it('is removed, and what others have is not', async () => {
    // No process has this id: it is past every limit that Linux knows.
    const dead = 2 ** 22 + 7;
    const names = [`model-${dead}-abc`, `model-${process.pid}-old`, `model-${process.ppid}-abc`, 'something-else'];
    for (const name of names) mkdirSync(join(disk.path, name));
    publish('1', 1);
    await repository.prepare('tiny', '1');
    const [own] = downloads().filter((name) => !names.includes(name));
    await source.removeLeftovers();
    expect(new Set(downloads())).toEqual(new Set([own, `model-${process.ppid}-abc`, 'something-else']));
    await source.removeDownloads();
    expect(existsSync(join(disk.path, own ?? ''))).toBe(false);
  });

  it('is nothing where the directory does not exist yet', async () => {
    await disk.remove();
    await expect(source.removeLeftovers()).resolves.toBeUndefined();
  });
});
