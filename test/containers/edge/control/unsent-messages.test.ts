import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { type OpenEdgeCache, openEdgeCache } from '../../../../containers/edge/cache';
import type { Position } from '../../../../containers/edge/cache/types';
import { createControlLog } from '../../../../containers/edge/control/log-follower';
import type { Checkpoint, MessageKeeper } from '../../../../containers/edge/control/types';
import { CONTROL_KEYS } from '../../../../lib/core/control-log';
import type { ControlMessage, InvalidateMessage } from '../../../../lib/core/control-message';
import { startRedis, type TestRedis } from '../../../support/redis';
import { collectingLog, filledWith, until } from '../cache/fixtures';

const invalidation = (key: string): InvalidateMessage => ({
  kind: 'invalidate',
  id: randomUUID(),
  targets: { keys: [key], tags: [], prefixes: [], patterns: [] },
});
const report = () => ({ channels: {}, models: {} });

class Keeper implements MessageKeeper {
  readonly held = new Set<string>();
  remember({ id }: InvalidateMessage): void {
    this.held.add(id);
  }
  forget(id: string): void {
    this.held.delete(id);
  }
}

describe('messages of its own, of a task that stops', () => {
  const follow = (redisUrl: string, keeper: MessageKeeper, flushMs?: number) => {
    let checkpoint: Checkpoint = { position: { epoch: 'none', seq: 0 } };
    const state = {
      checkpoint: () => checkpoint,
      apply({ id }: ControlMessage, position: Position) {
        checkpoint = { position, messageId: id };
      },
      continueAs(epoch: string) {
        checkpoint = { position: { epoch, seq: 0 } };
      },
      restartAt(position: Position) {
        checkpoint = { position };
      },
      caughtUp: () => undefined,
    };
    const options = { redisUrl, taskId: 't', region: 'r', state, report, log: collectingLog(), keeper };
    return createControlLog({
      ...options,
      heartbeatMs: 20,
      maxBackoffMs: 20,
      ...(flushMs !== undefined && { flushMs }),
    });
  };

  it('get into the log when it comes back in time, and are forgotten once they are applied', async () => {
    const gone = await startRedis();
    await gone.stop();
    const keeper = new Keeper();
    const follower = follow(gone.url, keeper, 20_000);
    const message = invalidation('k');
    follower.append(message, () => undefined);
    expect([...keeper.held]).toEqual([message.id]);
    const closing = follower.close();
    const back = await startRedis({ port: gone.port });
    await closing;
    expect(JSON.stringify(await back.send('XRANGE', CONTROL_KEYS.stream, '-', '+'))).toContain(message.id);
    await back.stop();
  });

  it('are left to the keeper when it does not', async () => {
    const gone = await startRedis();
    await gone.stop();
    const keeper = new Keeper();
    const follower = follow(gone.url, keeper, 10);
    const message = invalidation('k');
    follower.append(message, () => undefined);
    await follower.close();
    expect([...keeper.held]).toEqual([message.id]);
  });
});

describe('an invalidation that a task could not send before it ended', () => {
  let redis: TestRedis;
  let client: ReturnType<typeof createClient>;
  let directory: string;
  let open: OpenEdgeCache[];
  beforeEach(async () => {
    redis = await startRedis();
    client = createClient({ url: redis.url });
    client.on('error', () => undefined);
    await client.connect();
    directory = await mkdtemp(join(tmpdir(), 'mlcdn-unsent-'));
    open = [];
  });
  afterEach(async () => {
    for (const each of open) await each.close();
    client.destroy();
    await redis.stop();
    await rm(directory, { recursive: true });
  });
  const start = async (fields: { redisUrl?: string; diskDir?: string }): Promise<OpenEdgeCache> => {
    const common = { region: 'r', report, onControlMessage: () => undefined, log: collectingLog() };
    const opened = await openEdgeCache({ ...common, memoryMaxBytes: 1_000_000, taskId: randomUUID(), ...fields });
    open.push(opened);
    return opened;
  };
  const stop = async (opened: OpenEdgeCache): Promise<void> => {
    open.splice(open.indexOf(opened), 1);
    await opened.close();
  };
  const ask = async ({ cache }: OpenEdgeCache, body: string) => {
    const answer = await cache.getOrFill('k', async () => filledWith(body));
    return `${answer.tier}: ${answer.body}`;
  };

  /** A directory as a process leaves it that is killed after it invalidated `k` without a log to tell; the log is here. */
  const killedInvalidating = async (): Promise<string> => {
    const before = join(directory, 'before');
    const killed = join(directory, 'killed');
    const first = await start({ redisUrl: redis.url, diskDir: before });
    await first.controlLog.ready;
    await until(async () => {
      await first.cache.getOrFill(`warm ${randomUUID()}`, async () => filledWith('warm'));
      return (await client.keys('mlcdn:entry:2:{warm*')).length > 0;
    });
    await ask(first, 'first');
    await until(async () => (await client.keys('mlcdn:entry:2:{k}*')).length > 0);
    await stop(first);

    const away = await startRedis();
    await away.stop();
    const second = await start({ redisUrl: away.url, diskDir: before });
    second.cache.invalidateKeys(['k']);
    await until(async () => (await readFile(join(before, 'control.journal'), 'utf8')).includes('"kind":"unsent"'));
    await cp(before, killed, { recursive: true, filter: (path) => !path.endsWith('owner') });
    await stop(second);
    return killed;
  };

  it('holds in the next process from its first answer on, and reaches the others', async () => {
    const other = await start({ redisUrl: redis.url });
    await other.controlLog.ready;
    const killed = await killedInvalidating();
    expect(await ask(other, 'other')).toBe('l1: first');

    const next = await start({ redisUrl: redis.url, diskDir: killed });
    expect(await next.cache.find('k')).toBeUndefined();
    await next.controlLog.ready;
    expect(await next.cache.find('k')).toBeUndefined();
    await until(() => other.controlLog.position().seq === 1);
    expect(await ask(other, 'second')).toBe('origin: second');
    await stop(next);
    const third = await start({ redisUrl: redis.url, diskDir: killed });
    await third.controlLog.ready;
    expect(await ask(third, 'third')).toMatch(/^l[12]: second$/);
    expect(third.controlLog.position().seq).toBe(1);
  });

  it('holds in a process that keeps its log by itself', async () => {
    const next = await start({ diskDir: await killedInvalidating() });
    expect(await ask(next, 'second')).toBe('origin: second');
    expect(next.controlLog.position().seq).toBe(1);
  });
});
