/** @jest-environment ./test/support/onnx-environment.cjs */
import { type PublishRequest, publishModel } from '../../../lib/control/publish';
import { ChannelDocument } from '../../../lib/core/channel';
import { ModelManifest } from '../../../lib/core/manifest';
import { FakeAccount } from '../../support/aws';
import { scalingModel, scalingSample } from '../../support/scaling-model';

const REGIONS = ['us-east-1', 'eu-west-1', 'ap-northeast-1'];

function scaling(version: string, factor = 2): PublishRequest {
  return { name: 'scaling', version, onnx: scalingModel(factor), golden: [scalingSample(factor)] };
}

function channelOf(account: FakeAccount): ChannelDocument {
  return ChannelDocument.parse(JSON.parse(account.readText('channels/scaling.json') ?? ''));
}

describe('publish', () => {
  it('uploads, prepares everywhere, moves the channel, activates everywhere, and CloudFront comes last', async () => {
    const account = new FakeAccount();
    const result = await publishModel(scaling('1'), account.plane());

    expect(account.events).toEqual([
      'put models/scaling/1/model.onnx',
      'put models/scaling/1/manifest.json',
      ...REGIONS.map((region) => `prepare ${region}`),
      'put channels/scaling.json',
      ...REGIONS.map((region) => `activate ${region}`),
      'kvs live:scaling=1',
    ]);
    expect(result).toMatchObject({
      model: 'scaling',
      version: '1',
      revision: 1,
      channelMoved: true,
      edgeKeyMoved: true,
    });
    expect(result.activated.map(({ region, tasks }) => [region, tasks])).toEqual(REGIONS.map((region) => [region, 1]));
  });

  it('writes a manifest by which a region can check what it gets', async () => {
    const account = new FakeAccount();
    const { sha256, bytes } = await publishModel(
      { ...scaling('1'), cache: { ttlSeconds: 60, tags: ['Shop'] } },
      account.plane(),
    );
    const manifest = ModelManifest.parse(JSON.parse(account.readText('models/scaling/1/manifest.json') ?? ''));
    expect(manifest).toMatchObject({
      model: 'scaling',
      version: '1',
      sha256,
      bytes,
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      golden: [scalingSample(2)],
      cache: { ttlSeconds: 60, tags: ['shop'] },
    });
  });

  it('says in the manifest that a signature changes, only where that is meant', async () => {
    const account = new FakeAccount();
    await publishModel(scaling('1'), account.plane());
    await publishModel({ ...scaling('2'), signatureChange: true }, account.plane());
    const saysSo = ['1', '2'].map((version) =>
      JSON.parse(account.readText(`models/scaling/${version}/manifest.json`) ?? ''),
    );
    expect(saysSo.map(({ signatureChange }) => signatureChange)).toEqual([undefined, true]);
  });

  it('gives artifacts the cache tags of model and version, and says that they never change', async () => {
    const account = new FakeAccount();
    await publishModel(scaling('1'), account.plane());
    for (const file of ['model.onnx', 'manifest.json']) {
      expect(account.objects.get(`models/scaling/1/${file}`)?.input).toMatchObject({
        Metadata: { 'cache-tag': 'model:scaling,model:scaling@1' },
        CacheControl: expect.stringContaining('immutable'),
      });
    }
  });

  it('keeps the former version as previous', async () => {
    const account = new FakeAccount();
    await publishModel(scaling('1', 2), account.plane());
    await publishModel(scaling('2', 3), account.plane());
    expect(channelOf(account)).toMatchObject({ production: '2', previous: '1', revision: 2 });
    expect(account.keyValues.get('live:scaling')).toBe('2');
  });

  it('does nothing when the version is live already', async () => {
    const account = new FakeAccount();
    await publishModel(scaling('1'), account.plane());
    const before = [...account.events];
    const again = await publishModel(scaling('1'), account.plane());
    expect(account.events).toEqual(before);
    expect(again).toMatchObject({
      uploaded: [],
      prepared: [],
      channelMoved: false,
      activated: [],
      edgeKeyMoved: false,
    });
  });

  it('goes on where a broken publication stopped', async () => {
    const account = new FakeAccount();
    account.region('eu-west-1').topicFailure = 'throttled';
    await expect(publishModel(scaling('1'), account.plane())).rejects.toThrow(
      /reached 2 of 3 regions\neu-west-1: throttled/,
    );
    expect(account.keyValues.size).toBe(0);

    account.region('eu-west-1').topicFailure = undefined;
    const result = await publishModel(scaling('1'), account.plane());
    expect(result).toMatchObject({ uploaded: [], channelMoved: true, edgeKeyMoved: true });
  });

  it('refuses other bytes under a published version, naming both hashes', async () => {
    const account = new FakeAccount();
    const { sha256 } = await publishModel(scaling('1', 2), account.plane());
    const before = [...account.events];
    await expect(publishModel(scaling('1', 3), account.plane())).rejects.toThrow(
      new RegExp(`scaling 1 is already published with other bytes: SHA-256 ${sha256} there, [0-9a-f]{64} here`),
    );
    expect(account.events).toEqual(before);
  });

  it('refuses another manifest under a published version, naming the field', async () => {
    const account = new FakeAccount();
    await publishModel(scaling('1'), account.plane());
    await expect(publishModel({ ...scaling('1'), golden: [] }, account.plane())).rejects.toThrow(
      'with another golden in its',
    );
  });

  it('activates nothing anywhere when one task refuses, and says which and why', async () => {
    const account = new FakeAccount();
    await publishModel(scaling('1', 2), account.plane());
    const task = account.region('ap-northeast-1').tasks[0];
    if (task) task.refusal = 'golden sample 0: y[0] should be 3, got 4';
    await expect(publishModel(scaling('2', 3), account.plane())).rejects.toThrow(
      'ap-northeast-1: task ap-northeast-1-task refused scaling 2: golden sample 0: y[0] should be 3, got 4',
    );
    expect(channelOf(account).production).toBe('1');
    expect(account.keyValues.get('live:scaling')).toBe('1');
  });

  it('waits for every task of a region', async () => {
    const account = new FakeAccount();
    const slow = account.region('eu-west-1').addTask('slow', 12);
    const { prepared } = await publishModel(scaling('1'), account.plane());
    expect(prepared.find(({ region }) => region === 'eu-west-1')?.tasks).toBe(2);
    expect(slow.models.scaling).toEqual([{ version: '1', state: 'active' }]);
  });

  it('gives up on a region without a task, before anything is activated', async () => {
    const account = new FakeAccount();
    account.region('eu-west-1').tasks.pop();
    await expect(publishModel({ ...scaling('1'), timeouts: { prepareMs: 5_000 } }, account.plane())).rejects.toThrow(
      'eu-west-1: no live task, still after 5 s',
    );
    expect(account.readText('channels/scaling.json')).toBeUndefined();
  });

  it('says what a status function failed with', async () => {
    const account = new FakeAccount();
    account.region('eu-west-1').statusFailure = 'connect ECONNREFUSED';
    await expect(publishModel({ ...scaling('1'), timeouts: { prepareMs: 5_000 } }, account.plane())).rejects.toThrow(
      /eu-west-1: .* still after 5 s \(last failure: .*ECONNREFUSED/,
    );
  });

  it('fails when a region will not get the model', async () => {
    const failed = new FakeAccount();
    failed.replicationStatus = 'FAILED';
    await expect(publishModel(scaling('1'), failed.plane())).rejects.toThrow(/replication of s3:.*model\.onnx failed/);

    const uncovered = new FakeAccount();
    uncovered.replicationStatus = undefined;
    uncovered.replicationHeads = 0;
    await expect(publishModel(scaling('1'), uncovered.plane())).rejects.toThrow('no replication rule of bucket');
  });

  it('needs no replication with one region', async () => {
    const account = new FakeAccount(['us-east-1']);
    account.replicationStatus = undefined;
    await expect(publishModel(scaling('1'), account.plane())).resolves.toMatchObject({ channelMoved: true });
  });

  it('tries again when somebody else wrote the KeyValueStore, and gives up in the end', async () => {
    const account = new FakeAccount();
    account.keyValueConflicts = 3;
    await expect(publishModel(scaling('1'), account.plane())).resolves.toMatchObject({ edgeKeyMoved: true });

    const contended = new FakeAccount();
    contended.keyValueConflicts = 1_000;
    await expect(publishModel(scaling('1'), contended.plane())).rejects.toThrow('kept changing under 8 attempts');
  });

  it.each([
    ['name', { name: 'a/b' }, 'model name "a/b" must be'],
    ['version', { version: '' }, 'model version "" must be'],
    ['cache tag', { cache: { tags: ['a b'] } }, 'tags[0]: cache tag "a b" must be'],
    ['cache policy', { cache: { ttlJitter: 3 } }, 'ttlJitter: 3 must be a share from 0 to 1'],
  ])('refuses an impossible %s', async (_what, fault, message) => {
    const account = new FakeAccount();
    await expect(publishModel({ ...scaling('1'), ...fault }, account.plane())).rejects.toThrow(message);
    expect(account.events).toEqual([]);
  });
});
