import { createL1Store, type L1Options, type L1Store } from '../../../../containers/edge/cache/l1-store';
import { LogConnection } from '../../../../containers/edge/control/log-connection';
import { CONTROL_KEYS } from '../../../../lib/core/control-log';
import { startRedis, startRedisCluster, type TestRedis } from '../../../support/redis';
import { startTcpProxy, type TcpProxy } from '../../../support/tcp-proxy';
import { collectingLog, entryOf, until } from './fixtures';

const QUICK = { deadlineMs: 100, failuresToOpen: 3, retryMs: 20, hungMs: 400 };

/** What a `get` comes to: it may fail or find nothing, but it has to end. */
const outcomeOf = (store: L1Store, key: string): Promise<'hit' | 'miss' | 'error'> =>
  store.get(key).then(
    (entry) => (entry ? 'hit' : 'miss'),
    () => 'error',
  );

const isStored = (store: L1Store, key: string) => async () => {
  await store.set(entryOf(key)).catch(() => undefined);
  return (await outcomeOf(store, key)) === 'hit';
};

describe('the L1 store, when Redis', () => {
  let redis: TestRedis;
  let proxy: TcpProxy;
  let store: L1Store;
  const open = async (options: L1Options = {}, settings: readonly string[] = []) => {
    redis = await startRedis({ settings });
    proxy = await startTcpProxy(redis.port);
    store = createL1Store(`redis://127.0.0.1:${proxy.port}`, collectingLog(), { ...QUICK, ...options });
    await until(isStored(store, 'k'));
  };
  const unhandled: unknown[] = [];
  const remember = (reason: unknown) => void unhandled.push(reason);
  beforeAll(() => process.on('unhandledRejection', remember));
  afterAll(() => void process.off('unhandledRejection', remember));
  afterEach(async () => {
    await store.close();
    await proxy.close();
    await redis.stop();
    expect(unhandled).toEqual([]);
  });

  it('is killed: keys are misses, the tier is sick, and it is back with Redis', async () => {
    await open();
    const inFlight = Array.from({ length: 100 }, () => outcomeOf(store, 'k'));
    await redis.stop();
    expect(await Promise.all(inFlight)).toHaveLength(100);
    await until(async () => (await outcomeOf(store, 'k')) === 'miss');
    expect(store.healthy()).toBe(false);
    await expect(store.lease('k', 1_000)).rejects.toThrow('no leases now');
    redis = await startRedis({ port: redis.port });
    await until(isStored(store, 'k'));
    expect(store.healthy()).toBe(true);
  });

  it('hangs: no request waits past the deadline, few wait at all, and the dead connection is replaced', async () => {
    await open();
    proxy.silence(true);
    const before = proxy.accepted;
    const outcomes: string[] = [];
    await until(async () => {
      outcomes.push(await outcomeOf(store, 'k'));
      return proxy.accepted > before;
    });
    expect(outcomes).not.toContain('hit');
    expect(outcomes.filter((outcome) => outcome === 'miss').length).toBeGreaterThan(0);
    expect(store.healthy()).toBe(false);
    proxy.silence(false);
    await until(async () => (await outcomeOf(store, 'k')) === 'hit');
    expect(store.healthy()).toBe(true);
  });

  it('stands still and goes on: the same connection serves again', async () => {
    await open({ hungMs: 60_000 });
    const before = proxy.accepted;
    redis.freeze();
    await until(async () => (await outcomeOf(store, 'k')) === 'miss');
    expect(store.healthy()).toBe(false);
    redis.thaw();
    await until(async () => (await outcomeOf(store, 'k')) === 'hit');
    expect(proxy.accepted).toBe(before);
  });

  it('is slower than the deadline: the circuit opens, and closes when it is quick again', async () => {
    await open({ hungMs: 60_000 });
    proxy.delay(300);
    await until(async () => (await outcomeOf(store, 'k')) === 'miss');
    expect(store.healthy()).toBe(false);
    proxy.delay(0);
    await until(async () => (await outcomeOf(store, 'k')) === 'hit');
    await until(() => store.healthy());
  });

  it('is full: writes fail and are left alone for a while, reads go on', async () => {
    await open({ retryMs: 60_000 });
    await redis.send('CONFIG', 'SET', 'maxmemory', '1');
    await expect(store.set(entryOf('more'))).rejects.toThrow('OOM');
    expect(store.healthy()).toBe(false);
    await store.set(entryOf('more'));
    for (let i = 0; i < 10; i++) expect(await outcomeOf(store, 'k')).toBe('hit');
    await expect(store.lease('more', 1_000)).rejects.toThrow('no leases now');
  });

  it('has room again after it was full', async () => {
    await open();
    await redis.send('CONFIG', 'SET', 'maxmemory', '1');
    await expect(store.set(entryOf('more'))).rejects.toThrow('OOM');
    await redis.send('CONFIG', 'SET', 'maxmemory', '0');
    await until(isStored(store, 'more'));
    expect(store.healthy()).toBe(true);
  });

  it('gives back a lease although it is full', async () => {
    await open();
    const token = await store.lease('leased', 60_000);
    await redis.send('CONFIG', 'SET', 'maxmemory', '1');
    // Whether it also stores depends on how Redis treats a script that has freed something first.
    await store.setUnderLease(entryOf('leased'), token ?? '').catch(() => undefined);
    await redis.send('CONFIG', 'SET', 'maxmemory', '0');
    await until(isStored(store, 'k'));
    expect(await store.lease('leased', 60_000)).toBeDefined();
  });

  it('fails over: a connection to the old primary is replaced by one to the new', async () => {
    await open({}, ['--repl-diskless-sync-delay', '0']);
    const replica = await startRedis();
    try {
      await replica.send('REPLICAOF', '127.0.0.1', `${redis.port}`);
      await until(async () => `${await replica.send('INFO', 'replication')}`.includes('master_link_status:up'));
      await replica.send('REPLICAOF', 'NO', 'ONE');
      proxy.redirect(replica.port);
      await redis.send('REPLICAOF', '127.0.0.1', `${replica.port}`);
      await until(isStored(store, 'after'));
      const keys = await replica.send('KEYS', '*after*');
      expect(keys).toEqual(['mlcdn:entry:2:{after}']);
      expect(store.healthy()).toBe(true);
    } finally {
      await replica.stop();
    }
  });

  it.each([
    ['no protocol at all', '\x00\x01HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['an answer that nobody asked for', '$5\r\nhello\r\n'],
    ['half an answer', '$100\r\nhello'],
    ['an endless length', `$${'9'.repeat(400)}\r\n`],
  ])('sends %s: no key gets the answer of another, and a new connection serves', async (_what, bytes) => {
    await open();
    const names = Array.from({ length: 20 }, (_, i) => `key ${i}`);
    for (const name of names) await until(isStored(store, name));
    const answers = names.map((name) => store.get(name).catch(() => undefined));
    proxy.inject(bytes);
    for (const [i, entry] of (await Promise.all(answers)).entries()) {
      expect([undefined, names[i]]).toContain(entry?.key);
    }
    await until(async () => {
      const found = await Promise.all(names.map((name) => outcomeOf(store, name)));
      return found.every((outcome) => outcome === 'hit');
    });
  });

  it('does not answer for long: what waits is bounded, and nothing is left waiting', async () => {
    await open({ failuresToOpen: 1_000_000, hungMs: 60_000 });
    redis.freeze();
    const before = await Promise.all(Array.from({ length: 12_000 }, () => outcomeOf(store, 'k')));
    expect(before.every((outcome) => outcome !== 'hit')).toBe(true);
    redis.thaw();
    await until(async () => (await outcomeOf(store, 'k')) === 'hit');
  });
});

describe('the L1 store on a cluster', () => {
  let nodes: TestRedis[] = [];
  let store: L1Store;
  const access = { cluster: true };
  const url = () => nodes[0]?.url ?? '';
  beforeAll(async () => {
    nodes = await startRedisCluster(3);
    store = createL1Store(url(), collectingLog(), { deadlineMs: 5_000, ...access });
    await until(isStored(store, 'connected'));
  });
  afterAll(async () => {
    await store.close();
    for (const node of nodes) await node.stop();
  });
  const sizes = () => Promise.all(nodes.map(async (node) => Number(await node.send('DBSIZE'))));

  it('spreads entries over the nodes, finds them again and drops them all', async () => {
    const keys = Array.from({ length: 60 }, (_, i) => `spread ${i}`);
    await Promise.all(keys.map((key) => store.set(entryOf(key))));
    expect((await sizes()).every((size) => size > 0)).toBe(true);
    const found = await Promise.all(keys.map((key) => store.get(key)));
    expect(found.map((entry) => entry?.key)).toEqual(keys);
    await store.clear();
    expect(await sizes()).toEqual([0, 0, 0]);
  });

  it.each([
    ['a plain name', 'plain'],
    ['a name that begins with a brace', '}brace first'],
    ['a name with braces', 'a{b}c'],
    ['an empty name', ''],
    ['a long name', 'x'.repeat(5_000)],
  ])('leases and stores under %s in one step', async (_what, key) => {
    const token = (await store.lease(key, 60_000)) ?? '';
    expect(await store.lease(key, 60_000)).toBeUndefined();
    await store.setUnderLease(entryOf(key), token);
    expect((await store.get(key))?.key).toBe(key);
    const next = (await store.lease(key, 60_000)) ?? '';
    await store.release(key, next);
    expect(await store.lease(key, 60_000)).toBeDefined();
  });

  it('serves the control log from the node that has it', async () => {
    const heard: number[] = [];
    for (const node of nodes) {
      const connection = await LogConnection.open(node.url, 5_000, ({ seq }) => void heard.push(seq), access);
      const { epoch } = await connection.head();
      const position = heard.length + 1;
      await node.send('PUBLISH', CONTROL_KEYS.channel, JSON.stringify({ epoch, position, message: '{}' }));
      await until(() => heard.length === position);
      connection.close();
    }
    expect(heard).toEqual([1, 2, 3]);
  });

  it('goes on with the other nodes when one dies', async () => {
    const keys = Array.from({ length: 30 }, (_, i) => `partial ${i}`);
    await Promise.all(keys.map((key) => store.set(entryOf(key))));
    await nodes[2]?.stop();
    const outcomes = await Promise.all(keys.map((key) => outcomeOf(store, key)));
    expect(new Set(outcomes)).toEqual(new Set(['hit', 'error']));
  });
});
