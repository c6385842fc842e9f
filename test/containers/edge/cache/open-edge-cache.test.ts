import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { type EdgeCacheConfig, type OpenEdgeCache, openEdgeCache } from '../../../../containers/edge/cache';
import { APPEND_SCRIPT, CONTROL_KEYS } from '../../../../lib/core/control-log';
import type { ControlMessage } from '../../../../lib/core/control-message';
import { startRedis, type TestRedis } from '../../../support/redis';
import { collectingLog, filledWith, until } from './fixtures';

describe('openEdgeCache with Redis and a disk', () => {
  let redis: TestRedis;
  let client: ReturnType<typeof createClient>;
  let directory: string;
  let open: OpenEdgeCache[];
  beforeAll(async () => {
    redis = await startRedis();
    client = createClient({ url: redis.url });
    // Cut off with the others by a test; it connects again by itself.
    client.on('error', () => undefined);
    await client.connect();
  });
  afterAll(async () => {
    client.destroy();
    await redis.stop();
  });
  beforeEach(async () => {
    await client.flushAll();
    directory = await mkdtemp(join(tmpdir(), 'mlcdn-edge-'));
    open = [];
  });
  afterEach(async () => {
    for (const each of open) await each.close();
    await rm(directory, { recursive: true });
  });

  const start = async (fields: Partial<EdgeCacheConfig> = {}): Promise<OpenEdgeCache> => {
    const opened = await openEdgeCache({
      memoryMaxBytes: 1_000_000,
      diskDir: directory,
      diskMaxBytes: 10_000_000,
      redisUrl: redis.url,
      taskId: randomUUID(),
      region: 'eu-west-1',
      report: () => ({ channels: {}, models: {} }),
      onControlMessage: () => undefined,
      log: collectingLog(),
      ...fields,
    });
    open.push(opened);
    await opened.controlLog.ready;
    return opened;
  };
  const restart = async (opened: OpenEdgeCache, fields: Partial<EdgeCacheConfig> = {}): Promise<OpenEdgeCache> => {
    await stop(opened);
    return start(fields);
  };
  const stop = async (opened: OpenEdgeCache): Promise<void> => {
    open.splice(open.indexOf(opened), 1);
    await opened.close();
  };
  const append = async (message: ControlMessage): Promise<void> => {
    const { epoch, head, stream, seen, channel } = CONTROL_KEYS;
    const values = [randomUUID(), message.id, JSON.stringify(message), '1000', channel];
    await client.eval(APPEND_SCRIPT, { keys: [epoch, head, stream, seen], arguments: values });
  };
  const invalidate = (tag: string) =>
    append({ kind: 'invalidate', id: randomUUID(), targets: { keys: [], tags: [tag], prefixes: [], patterns: [] } });
  const ask = async ({ cache }: OpenEdgeCache, body = 'computed') => {
    const answer = await cache.getOrFill('k', async () => filledWith(body));
    return `${answer.tier}: ${answer.body}`;
  };
  /** Until the tiers that connect or load in the background hold what was asked for. */
  const untilInL1 = () => until(async () => (await client.keys('mlcdn:entry:*')).length > 0);
  const fill = async (opened: OpenEdgeCache): Promise<void> => {
    await until(async () => {
      await opened.cache.getOrFill(`warm ${randomUUID()}`, async () => filledWith('warm', { tags: [] }));
      return (await client.keys('mlcdn:entry:2:{warm*')).length > 0;
    });
    await ask(opened, 'first');
    await untilInL1();
  };

  it('answers from memory, after a restart from L1, and after the loss of Redis from disk', async () => {
    const first = await start();
    await fill(first);
    expect(await ask(first)).toBe('memory: first');
    const second = await restart(first);
    await until(async () => (await second.cache.getOrFill('probe', async () => filledWith('p'))).tier !== 'origin');
    expect(await ask(second)).toMatch(/^(l1|l2): first$/);

    await redis.flush();
    await until(async () => (await client.get(CONTROL_KEYS.epoch)) !== null);
    const epoch = await client.get(CONTROL_KEYS.epoch);
    await until(() => second.controlLog.position().epoch === epoch);
    const third = await restart(second);
    await until(() => third.cache.stats().entries.l2 > 0);
    expect(await ask(third)).toBe('l2: first');
  });

  it('does not use what was invalidated while the process was away, from L1 or disk', async () => {
    const first = await start();
    await fill(first);
    await stop(first);
    await invalidate('model:ranker');
    const second = await start();
    await until(() => second.cache.stats().entries.l2 > 0);
    expect(await ask(second, 'second')).toBe('origin: second');
    expect(second.cache.stats().invalidated).toBeGreaterThan(0);
  });

  it('does not use the disk of a process that was away while the log was lost', async () => {
    const first = await start();
    await fill(first);
    await stop(first);
    await redis.flush();
    const second = await start();
    expect(await ask(second, 'second')).toBe('origin: second');
  });

  it('invalidates in every task once each has applied the message', async () => {
    const one = await start();
    const other = await start({ diskDir: undefined });
    await fill(one);
    await until(async () => (await ask(other)).endsWith('first'));
    await invalidate('MODEL:Ranker');
    await until(() => [one, other].every(({ controlLog }) => controlLog.position().seq === 1));
    expect(await ask(one, 'second')).toBe('origin: second');
    expect(await ask(other, 'third')).not.toContain('first');
  });

  it('invalidates keys here at once and in the other tasks soon, also when the log was away meanwhile', async () => {
    const one = await start();
    const other = await start({ diskDir: undefined });
    await fill(one);
    await until(async () => (await ask(other)).endsWith('first'));
    one.cache.invalidateKeys(['k']);
    expect(await ask(one, 'second')).toBe('origin: second');
    await until(() => other.controlLog.position().seq === 1);
    expect(await ask(other, 'third')).not.toContain('first');

    await redis.disconnectClients();
    await until(() => !one.controlLog.connected());
    one.cache.invalidateKeys(['k']);
    expect(await one.cache.find('k')).toBeUndefined();
    await until(() => [one, other].every(({ controlLog }) => controlLog.position().seq === 2));
    expect(await other.cache.find('k')).toBeUndefined();
  });

  it('without Redis invalidates keys for itself, and remembers it beside the disk', async () => {
    const alone = { redisUrl: undefined };
    const first = await start(alone);
    await ask(first, 'first');
    await stop(first);
    const second = await start(alone);
    second.cache.invalidateKeys(['k']);
    const third = await restart(second, alone);
    await until(() => third.cache.stats().entries.l2 > 0);
    expect(await ask(third, 'third')).toBe('origin: third');
    expect(await ask(third)).toBe('memory: third');
  });

  it('passes on prepare and activate, and of a replayed history only the last of each model', async () => {
    const prepare = (model: string, version: string): ControlMessage => ({
      kind: 'prepare',
      id: randomUUID(),
      model,
      version,
    });
    for (const version of ['1', '2', '3']) await append(prepare('ranker', version));
    await append(prepare('other', '1'));
    await append({ kind: 'activate', id: randomUUID(), model: 'ranker', revision: 7 });
    const heard: string[] = [];
    const onControlMessage = (message: ControlMessage) => {
      if (message.kind === 'prepare') heard.push(`prepare ${message.model} ${message.version}`);
      if (message.kind === 'activate') heard.push(`activate ${message.model} ${message.revision}`);
    };
    const task = await start({ onControlMessage });
    expect(heard).toEqual(['prepare ranker 3', 'prepare other 1', 'activate ranker 7']);
    await append(prepare('ranker', '4'));
    await until(() => task.controlLog.position().seq === 6);
    expect(heard.slice(3)).toEqual(['prepare ranker 4']);
  });

  it('works with Redis gone', async () => {
    const log = collectingLog();
    const gone = await startRedis();
    await gone.stop();
    const opened = await openEdgeCache({
      memoryMaxBytes: 1_000_000,
      redisUrl: gone.url,
      taskId: 't',
      region: 'r',
      report: () => ({ channels: {}, models: {} }),
      onControlMessage: () => undefined,
      log,
    });
    expect(await ask(opened, 'first')).toBe('origin: first');
    expect(await ask(opened)).toBe('memory: first');
    await opened.close();
  });

  it('without Redis keeps its disk across restarts, but not the disk of a process that had one', async () => {
    const alone = { redisUrl: undefined };
    const first = await start(alone);
    await ask(first, 'first');
    const second = await restart(first, alone);
    await until(() => second.cache.stats().entries.l2 > 0);
    expect(await ask(second)).toBe('l2: first');
    const third = await restart(second);
    expect(await ask(third, 'third')).toBe('origin: third');
    const fourth = await restart(third, alone);
    expect(await ask(fourth, 'fourth')).toBe('origin: fourth');
  });

  it('goes on without a disk that cannot be used, and says so', async () => {
    const file = join(directory, 'a file');
    await writeFile(file, '');
    const log = collectingLog();
    const opened = await start({ diskDir: file, log });
    expect(log.said).toContain('disk cache cannot be used; going on without it');
    expect(await ask(opened, 'first')).toBe('origin: first');
  });
});
