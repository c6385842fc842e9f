import { createL1Store, type L1Store } from '../../../../containers/edge/cache/l1-store';
import { LogConnection } from '../../../../containers/edge/control/log-connection';
import { SharedRedis } from '../../../../lambda/redis-connection';
import { elastiCacheToken } from '../../../../lib/core/elasticache-token';
import { startRedis, type TestRedis } from '../../../support/redis';
import { collectingLog, entryOf, until } from './fixtures';

const IAM = { userId: 'edge', cacheName: 'mlcdn-prod', region: 'eu-west-1' };
const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const NOW = new Date('2026-01-02T03:04:05Z');

describe('the token for ElastiCache', () => {
  const common =
    'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260102T030405Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host';
  const scope = 'X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Feu-west-1%2Felasticache%2Faws4_request';
  const parts = (query: string) => query.split('&').sort();

  // The signatures were made by botocore's presigner for the same request, keys and time.
  it.each([
    [undefined, '', 'ff7e8f0091803efe913a551d37aea46c16afa7d38b7ab05878148016936b8814'],
    [
      'session/token+=',
      'X-Amz-Security-Token=session%2Ftoken%2B%3D&',
      '83b124dc66388cf57df32f2e50bc988a46ea233ac2ee7dfaab0db47e5c6acccb',
    ],
  ])('is a presigned connect request without its scheme (session token %s)', async (sessionToken, extra, signature) => {
    const [path, query] = (await elastiCacheToken(IAM, { ...KEYS, sessionToken }, NOW)).split('?');
    expect(path).toBe('mlcdn-prod/');
    expect(parts(query ?? '')).toEqual(
      parts(`Action=connect&User=edge&${common}&${scope}&${extra}X-Amz-Signature=${signature}`),
    );
  });
});

describe('connections that log in by IAM', () => {
  const environment = { ...process.env };
  let redis: TestRedis;
  let store: L1Store;
  const allow = async (at: Date) => {
    const token = await elastiCacheToken(IAM, KEYS, at);
    await redis.send('ACL', 'SETUSER', 'edge', 'reset', 'on', `>${token}`, '~*', '&*', '+@all');
  };
  beforeAll(async () => {
    // Only the date: connections and deadlines go by the real timers.
    jest.useFakeTimers({
      now: NOW,
      doNotFake: [
        'setTimeout',
        'clearTimeout',
        'setInterval',
        'clearInterval',
        'setImmediate',
        'clearImmediate',
      ].concat(['nextTick', 'queueMicrotask', 'performance', 'hrtime']) as ('setTimeout' | 'performance')[],
    });
    process.env.AWS_ACCESS_KEY_ID = KEYS.accessKeyId;
    process.env.AWS_SECRET_ACCESS_KEY = KEYS.secretAccessKey;
    delete process.env.AWS_SESSION_TOKEN;
    redis = await startRedis();
    await allow(NOW);
    store = createL1Store(redis.url, collectingLog(), { deadlineMs: 5_000, iam: IAM });
  });
  afterAll(async () => {
    await store.close();
    await redis.stop();
    process.env = environment;
    jest.useRealTimers();
  });
  const isStored = (key: string) => async () => {
    await store.set(entryOf(key)).catch(() => undefined);
    return (await store.get(key).catch(() => undefined)) !== undefined;
  };

  const connectionIds = async () => {
    const list = String(await redis.send('CLIENT', 'LIST'));
    return list.split('\n').flatMap((line) => (line.includes('user=edge') ? [/^id=(\d+)/.exec(line)?.[1]] : []));
  };

  it('are those of the IAM user, with a new token at every reconnect', async () => {
    await until(isStored('first'));
    expect(await redis.send('CLIENT', 'LIST')).toContain('user=edge');
    const later = new Date(NOW.getTime() + 3_600_000);
    jest.setSystemTime(later);
    await allow(later);
    const before = await connectionIds();
    await redis.disconnectClients();
    // A new connection may be there before anybody could have seen that the old one was gone.
    await until(async () => (await connectionIds()).some((id) => !before.includes(id)));
    await until(isStored('second'));
  });

  it('are those of the functions as well', async () => {
    const shared = new SharedRedis(redis.url, IAM);
    const connection = await shared.connection();
    expect(await connection.sendCommand(['ACL', 'WHOAMI'])).toBe('edge');
    await shared.close();
  });

  it('serve the control log too, and are refused with a token of another time', async () => {
    const open = () => LogConnection.open(redis.url, 5_000, () => undefined, { iam: IAM });
    const connection = await open();
    expect((await connection.head()).head).toBe(0);
    connection.close();
    jest.setSystemTime(new Date(Date.now() + 1_000));
    await expect(open()).rejects.toThrow('WRONGPASS');
  });
});
