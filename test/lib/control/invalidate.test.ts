import { UsageError } from '../../../lib/control/errors';
import { invalidate } from '../../../lib/control/invalidate';
import { FakeAccount } from '../../support/aws';

const REGIONS = ['us-east-1', 'eu-west-1', 'ap-northeast-1'];
const SENT = REGIONS.map((region) => `invalidate ${region}`);

describe('invalidate', () => {
  it('reaches every region before CloudFront, by the same tag', async () => {
    const account = new FakeAccount();
    const result = await invalidate({ models: ['Ranker'], wait: true }, account.plane());
    expect(account.events).toEqual([...SENT, 'cloudfront #model:ranker']);
    expect(result.targets.tags).toEqual(['model:ranker']);
    expect(result.regions?.map(({ region }) => region)).toEqual(REGIONS);
    expect(result.cloudFront).toEqual([{ id: 'I1', items: ['#model:ranker'], status: 'Completed' }]);
    expect(result.notes).toEqual([]);
  });

  it('reports the place in the log and the time that each region took', async () => {
    const account = new FakeAccount();
    const slow = account.region('eu-west-1').tasks[0];
    if (slow) slow.lag = 10;
    const { regions = [] } = await invalidate({ tags: ['user:1'], wait: true }, account.plane());
    for (const receipt of regions) expect(receipt).toMatchObject({ epoch: 'epoch-1', position: 1, tasks: 1 });
    const slowest = [...regions].sort((a, b) => b.propagationMs - a.propagationMs)[0];
    expect(slowest?.region).toBe('eu-west-1');
  });

  it('waits for the regions even without --wait where CloudFront takes part, but not for CloudFront', async () => {
    const account = new FakeAccount();
    const { regions, cloudFront } = await invalidate({ tags: ['user:1'] }, account.plane());
    expect(regions).toHaveLength(3);
    expect(cloudFront[0]?.status).toBe('InProgress');
  });

  it('sends keys, prefixes and patterns to the regions only, and says so', async () => {
    const account = new FakeAccount();
    const result = await invalidate({ keys: ['k'], prefixes: ['predict/'], patterns: ['*x?'] }, account.plane());
    expect(account.events).toEqual(SENT);
    expect(result.regions).toBeUndefined();
    expect(result.cloudFront).toEqual([]);
    expect(result.notes[0]).toContain('CloudFront knows tags and paths only');
  });

  it('sends paths to CloudFront only', async () => {
    const account = new FakeAccount();
    await invalidate({ paths: ['/models/ranker/*'], wait: true }, account.plane());
    expect(account.events).toEqual(['cloudfront /models/ranker/*']);
  });

  it('invalidates CloudFront once more after the settling time', async () => {
    const account = new FakeAccount();
    await invalidate({ tags: ['a'], wait: true, settleMs: 30_000 }, account.plane());
    expect(account.invalidations.map(({ items }) => items)).toEqual([['#a'], ['#a']]);
    expect(new Set(account.invalidations.map(({ reference }) => reference)).size).toBe(2);
    expect(account.clock.now()).toBeGreaterThanOrEqual(30_000);
  });

  it('is done in a region without tasks as soon as the log holds it', async () => {
    const account = new FakeAccount();
    account.region('eu-west-1').tasks.pop();
    const { regions } = await invalidate({ tags: ['a'], wait: true }, account.plane());
    expect(regions?.[1]).toMatchObject({ region: 'eu-west-1', tasks: 0 });
  });

  it('is done when the log was lost after it held the message', async () => {
    const account = new FakeAccount();
    const region = account.region('eu-west-1');
    const task = region.tasks[0];
    if (task) task.lag = 3;
    const answer = region.answerStatus.bind(region);
    let questions = 0;
    region.answerStatus = (payload) => {
      questions += 1;
      if (questions === 2) region.loseLog();
      return answer(payload);
    };
    await expect(invalidate({ tags: ['a'], wait: true }, account.plane())).resolves.toBeDefined();
    expect(region.epoch).not.toBe('epoch-1');
  });

  it('names the region and task that did not follow', async () => {
    const account = new FakeAccount();
    const stuck = account.region('eu-west-1').tasks[0];
    if (stuck) stuck.lag = Number.POSITIVE_INFINITY;
    await expect(invalidate({ tags: ['a'], wait: true, timeoutMs: 10_000 }, account.plane())).rejects.toThrow(
      'eu-west-1: task eu-west-1-task has not applied it, still after 10 s',
    );
    expect(account.invalidations).toEqual([]);
  });

  it('tries every region before it reports those that could not be reached', async () => {
    const account = new FakeAccount();
    account.region('us-east-1').topicFailure = 'throttled';
    await expect(invalidate({ keys: ['k'] }, account.plane())).rejects.toThrow(
      /reached 2 of 3 regions\nus-east-1: throttled/,
    );
    expect(account.events).toEqual(['invalidate eu-west-1', 'invalidate ap-northeast-1']);
  });

  it.each([
    ['nothing', {}, 'name what to invalidate'],
    ['a tag with a comma', { tags: ['a,b'] }, 'cache tag "a,b" must be'],
    ['a path without its slash', { paths: ['models/*'] }, 'path "models/*" must start with'],
    ['a path with an inner star', { paths: ['/a*/b'] }, "may have '*' only at its end"],
    ['an impossible model name', { models: ['a/b'] }, 'model name "a/b" must be'],
    [
      'too much for one message',
      { keys: Array.from({ length: 300 }, (_, i) => `${i}`.padEnd(1_000, 'k')) },
      'SNS carries at most 262144',
    ],
  ])('refuses %s as wrong usage', async (_what, request, message) => {
    const account = new FakeAccount();
    const attempt = invalidate(request, account.plane());
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toBeInstanceOf(UsageError);
    expect(account.events).toEqual([]);
  });
});
