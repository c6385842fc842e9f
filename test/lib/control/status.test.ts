/** @jest-environment ./test/support/onnx-environment.cjs */
import { publishModel } from '../../../lib/control/publish';
import { readStatus } from '../../../lib/control/status';
import { FakeAccount } from '../../support/aws';
import { scalingModel } from '../../support/scaling-model';

async function published(): Promise<FakeAccount> {
  const account = new FakeAccount();
  await publishModel({ name: 'scaling', version: '1', onnx: scalingModel(1) }, account.plane());
  return account;
}

describe('status', () => {
  it('shows channels, tasks and regional caches, and no problem when all is well', async () => {
    const account = await published();
    const status = await readStatus(account.plane());
    expect(status.models).toEqual([
      expect.objectContaining({ model: 'scaling', production: '1', edgeKeyVersion: '1' }),
    ]);
    expect(status.regions.map(({ region }) => region)).toEqual(['us-east-1', 'eu-west-1', 'ap-northeast-1']);
    for (const { region, control, cache } of status.regions) {
      expect(control).toMatchObject({ value: { head: 2, tasks: [{ taskId: `${region}-task`, position: 2 }] } });
      expect(cache).toEqual({
        value: { id: 'mlcdn-dev', status: 'available', engine: 'valkey', nodeType: 'cache.t4g.micro', nodes: 2 },
      });
    }
    expect(status.problems).toEqual([]);
  });

  it('is empty and well before the first publication', async () => {
    const status = await readStatus(new FakeAccount().plane());
    expect(status).toMatchObject({ models: [], problems: [] });
  });

  it('goes on with the other regions when one does not answer', async () => {
    const account = await published();
    account.region('eu-west-1').statusFailure = 'connect ECONNREFUSED';
    const status = await readStatus(account.plane());
    expect(status.regions[1]?.control).toEqual({ error: expect.stringContaining('ECONNREFUSED') });
    expect(status.regions[2]?.control).toHaveProperty('value');
    expect(status.problems).toEqual([expect.stringMatching(/^eu-west-1: control log: .*ECONNREFUSED/)]);
  });

  it('lists what is not as it should be', async () => {
    const account = await published();
    account.keyValues.set('live:scaling', '0');
    account.region('us-east-1').tasks.pop();
    account.region('eu-west-1').addTask('newcomer');
    account.region('ap-northeast-1').cacheStatus = 'modifying';
    const { problems } = await readStatus(account.plane());
    expect(problems).toEqual([
      "scaling: the channel says 1, CloudFront's cache keys name 0; publish again to finish",
      'us-east-1: no live task',
      'eu-west-1: task newcomer does not serve scaling 1: it does not have it',
      'ap-northeast-1: regional cache is modifying',
    ]);
  });
});
