/** @jest-environment ./test/support/onnx-environment.cjs */
import { publishModel } from '../../../lib/control/publish';
import { rollbackModel } from '../../../lib/control/rollback';
import { FakeAccount } from '../../support/aws';
import { scalingModel } from '../../support/scaling-model';

async function withVersions(...versions: string[]): Promise<FakeAccount> {
  const account = new FakeAccount();
  for (const version of versions) {
    await publishModel({ name: 'scaling', version, onnx: scalingModel(Number(version)) }, account.plane());
  }
  return account;
}

describe('rollback', () => {
  it('goes to the version before, without an upload or a new preparation', async () => {
    const account = await withVersions('1', '2');
    const before = account.events.length;
    const result = await rollbackModel({ name: 'scaling' }, account.plane());
    expect(result).toMatchObject({ version: '1', previous: '2', revision: 3, prepared: [] });
    expect(account.events.slice(before)).toEqual([
      'put channels/scaling.json',
      'activate us-east-1',
      'activate eu-west-1',
      'activate ap-northeast-1',
      'kvs live:scaling=1',
    ]);
  });

  it('goes to a named version', async () => {
    const account = await withVersions('1', '2', '3');
    await expect(rollbackModel({ name: 'scaling', to: '1' }, account.plane())).resolves.toMatchObject({ version: '1' });
    expect(account.keyValues.get('live:scaling')).toBe('1');
  });

  it('undoes itself when run twice', async () => {
    const account = await withVersions('1', '2');
    await rollbackModel({ name: 'scaling' }, account.plane());
    await expect(rollbackModel({ name: 'scaling' }, account.plane())).resolves.toMatchObject({ version: '2' });
  });

  it.each([
    ['an unknown model', { name: 'other' }, 'model other was never published in dev'],
    ['a first version', { name: 'scaling' }, 'model scaling has had no version before 1; name one with --to'],
    ['an unknown version', { name: 'scaling', to: '9' }, 'version 9 of model scaling was never published'],
    ['an impossible version', { name: 'scaling', to: 'a/b' }, 'model version "a/b" must be'],
  ])('refuses %s', async (_what, request, message) => {
    const account = await withVersions('1');
    const before = [...account.events];
    await expect(rollbackModel(request, account.plane())).rejects.toThrow(message);
    expect(account.events).toEqual(before);
  });
});
