import { drainRegion, undrainRegion } from '../../../lib/control/drain';
import { ControlError, UsageError } from '../../../lib/control/errors';
import { decodeRoutingTable, ROUTING_TABLE_KEY } from '../../../lib/core/routing-table';
import { FakeAccount } from '../../support/aws';

let account: FakeAccount;
beforeEach(() => {
  account = new FakeAccount();
  account.keyValues.set(ROUTING_TABLE_KEY, '1795510000 us-east-1h5,90 eu-west-1h10,80 ap-northeast-1h20,70');
});

const stateOf = (region: string) =>
  decodeRoutingTable(account.keyValues.get(ROUTING_TABLE_KEY) ?? '')?.regions.find((row) => row.region === region)
    ?.state;

test('a drain makes the region unhealthy to DNS, whatever its parts say, and avoided by the function', async () => {
  const result = await drainRegion({ region: 'eu-west-1' }, account.plane());
  expect(result).toEqual({
    region: 'eu-west-1',
    drained: true,
    dns: { healthCheckId: 'hc-eu-west-1', changed: true },
    scores: { changed: true },
    effectiveWithinSeconds: 120,
    others: ['us-east-1', 'ap-northeast-1'],
  });
  expect(account.healthChecks.get('hc-eu-west-1')).toMatchObject({ disabled: true, inverted: true });
  expect(stateOf('eu-west-1')).toBe('drained');
  expect(stateOf('us-east-1')).toBe('healthy');
});

test('repeating it changes nothing and says so', async () => {
  await drainRegion({ region: 'eu-west-1' }, account.plane());
  const before = account.events.length;
  const again = await drainRegion({ region: 'eu-west-1' }, account.plane());
  expect(again).toMatchObject({ dns: { changed: false }, scores: { changed: false }, effectiveWithinSeconds: 0 });
  expect(account.events).toHaveLength(before);
});

test('undrain undoes both; the scores wait for a measurement', async () => {
  await drainRegion({ region: 'eu-west-1' }, account.plane());
  const result = await undrainRegion({ region: 'eu-west-1' }, account.plane());
  expect(result).toMatchObject({ drained: false, dns: { changed: true }, scores: { changed: true } });
  expect(account.healthChecks.get('hc-eu-west-1')).toMatchObject({ disabled: false, inverted: false });
  expect(stateOf('eu-west-1')).toBe('unknown');
  expect(await undrainRegion({ region: 'eu-west-1' }, account.plane())).toMatchObject({
    dns: { changed: false },
    scores: { changed: false },
  });
});

test('a drain before the first measurement holds', async () => {
  account.keyValues.clear();
  await drainRegion({ region: 'eu-west-1' }, account.plane());
  expect(account.keyValues.get(ROUTING_TABLE_KEY)).toBe('0 eu-west-1d');
});

test('others who write at the same time cost a repetition, not a change', async () => {
  account.keyValueConflicts = 2;
  account.healthCheckConflicts = 2;
  expect(await drainRegion({ region: 'eu-west-1' }, account.plane())).toMatchObject({
    dns: { changed: true },
    scores: { changed: true },
  });
});

describe('the last region that serves', () => {
  test.each([
    ['the others are drained', async () => drainOthers()],
    ['the others have no live task', async () => loseOthers((region) => region.tasks.splice(0))],
    [
      'the others cannot be asked',
      async () =>
        loseOthers((region) => {
          region.statusFailure = 'no answer';
        }),
    ],
  ])('is not drained when %s, unless forced', async (_why, arrange) => {
    await arrange();
    const attempt = drainRegion({ region: 'eu-west-1' }, account.plane());
    await expect(attempt).rejects.toThrow(ControlError);
    await expect(attempt).rejects.toThrow(/eu-west-1 is the last region that serves.*--force/);
    expect(account.healthChecks.get('hc-eu-west-1')).toMatchObject({ disabled: false });
    expect(stateOf('eu-west-1')).toBe('healthy');
    const forced = await drainRegion({ region: 'eu-west-1', force: true }, account.plane());
    expect(forced).toMatchObject({ drained: true, others: [] });
  });

  async function drainOthers(): Promise<void> {
    for (const region of ['us-east-1', 'ap-northeast-1']) await drainRegion({ region }, account.plane());
  }

  async function loseOthers(lose: (region: ReturnType<FakeAccount['region']>) => void): Promise<void> {
    for (const region of ['us-east-1', 'ap-northeast-1']) lose(account.region(region));
  }
});

test.each([drainRegion, undrainRegion])('an unknown region is wrong usage: %p', async (operation) => {
  const attempt = operation({ region: 'eu-west-9' }, account.plane());
  await expect(attempt).rejects.toThrow(UsageError);
  await expect(attempt).rejects.toThrow('region "eu-west-9" is not one of dev: us-east-1, eu-west-1, ap-northeast-1');
});
