import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type EdgeCacheConfig, type OpenEdgeCache, openEdgeCache } from '../../../../containers/edge/cache';
import { DiskStore } from '../../../../containers/edge/cache/disk-store';
import { openRetriedBodyStore } from '../../../../containers/edge/cache/retried-body-store';
import { startRedis, type TestRedis } from '../../../support/redis';
import { SmallDisk } from '../../../support/small-disk';
import { collectingLog, filledWith, until } from './fixtures';

const MIB = 1024 * 1024;
const RETRY_MS = 20;

const configOf = (directory: string, fields: Partial<EdgeCacheConfig> = {}): EdgeCacheConfig => ({
  memoryMaxBytes: 1_000_000,
  diskDir: directory,
  diskMaxBytes: 10_000_000,
  diskRetryMs: RETRY_MS,
  taskId: randomUUID(),
  region: 'eu-west-1',
  report: () => ({ channels: {}, models: {} }),
  onControlMessage: () => undefined,
  log: collectingLog(),
  ...fields,
});
const ask = async ({ cache }: OpenEdgeCache, key: string, body: string): Promise<string> => {
  const answer = await cache.getOrFill(key, async () => filledWith(body));
  return `${answer.tier}: ${answer.body}`;
};
/** Until the disk holds an entry again: what was stored while it refused is not on it. */
const untilOnDisk = (open: OpenEdgeCache, key: string, body: string) =>
  until(async () => {
    await ask(open, `${key} ${randomUUID()}`, body);
    return open.cache.stats().entries.l2 > 0;
  });

describe('a disk that cannot be used at the start', () => {
  let disk: SmallDisk;
  let mounted: boolean;
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    await redis.flush();
    disk = new SmallDisk();
    mounted = disk.mount(4 * MIB);
  });
  afterEach(() => {
    if (mounted) disk.unmount();
  });
  const fillUp = async (): Promise<string> => {
    const hog = join(disk.directory, 'hog');
    await writeFile(hog, Buffer.alloc(8 * MIB)).catch(() => undefined);
    return hog;
  };

  it.each(['with', 'without'])(
    '%s Redis comes up without a full disk, says so, and takes to it by itself',
    async (how) => {
      if (!mounted) return;
      const config = configOf(disk.directory, how === 'with' ? { redisUrl: redis.url } : {});
      const first = await openEdgeCache(config);
      await first.controlLog.ready;
      expect(await ask(first, 'old', 'first')).toBe('origin: first');
      await first.close();

      const hog = await fillUp();
      const log = collectingLog();
      const second = await openEdgeCache({ ...config, log });
      await second.controlLog.ready;
      expect(second.health().l2).toBe(false);
      expect(log.said).toContain('control journal cannot be written; trying again');
      // Of what can be read nothing is lost.
      await until(() => second.cache.stats().entries.l2 > 0);
      expect(await ask(second, 'old', 'second')).toMatch(/^l[12]: first$/);

      await rm(hog);
      await until(() => second.health().l2 === true);
      expect(await ask(second, 'new', 'second')).toBe('origin: second');
      await second.close();
      const third = await openEdgeCache({ ...config, redisUrl: config.redisUrl });
      await third.controlLog.ready;
      await until(() => third.cache.stats().entries.l2 > 0);
      expect(await ask(third, 'new', 'third')).toMatch(/^l[12]: second$/);
      await third.close();
    },
  );

  it('takes to a read-only disk once it can be written, and judges what is on it by the log', async () => {
    if (!mounted) return;
    const config = configOf(disk.directory, { redisUrl: redis.url });
    const first = await openEdgeCache(config);
    await first.controlLog.ready;
    await ask(first, 'kept', 'first');
    await ask(first, 'purged', 'first');
    await until(() => first.cache.stats().entries.l2 === 2);
    await first.close();

    disk.remount('ro');
    const second = await openEdgeCache(config);
    await second.controlLog.ready;
    expect(second.health().l2).toBe(false);
    second.cache.invalidateKeys(['purged']);
    await until(() => second.controlLog.position().seq === 1);
    expect(second.cache.stats().entries.l2).toBe(0);

    disk.remount('rw');
    await until(() => second.health().l2 === true && second.cache.stats().entries.l2 === 2);
    expect(await second.cache.find('kept', { tiers: ['l2'] })).toMatchObject({ tier: 'l2' });
    expect(await second.cache.find('purged', { tiers: ['l2'] })).toBeUndefined();
    await second.close();
    const third = await openEdgeCache(config);
    await third.controlLog.ready;
    await until(() => third.cache.stats().entries.l2 > 0);
    expect(await third.cache.find('purged', { tiers: ['l2'] })).toBeUndefined();
    await third.close();
  });

  it('takes large bodies as soon as the disk does', async () => {
    if (!mounted) return;
    disk.remount('ro');
    const log = collectingLog();
    const bodies = await openRetriedBodyStore(join(disk.directory, 'bodies'), 2 * MIB, log, RETRY_MS);
    expect(bodies.healthy()).toBe(false);
    expect(log.said).toEqual(['large bodies cannot be kept; passing them on']);
    await expect(bodies.create(10)).rejects.toThrow('cannot be used');
    expect(await bodies.open('0'.repeat(64))).toBeUndefined();

    disk.remount('rw');
    await until(() => bodies.healthy());
    const content = randomBytes(300_000);
    const writer = await bodies.create(content.length);
    await writer.write(content);
    const body = await bodies.open(await writer.commit());
    expect(body && (await buffer(body.read())).equals(content)).toBe(true);
    await body?.close();
    await bodies.close();
  });

  it('waits for a directory that another process still uses', async () => {
    if (!mounted) return;
    const other = await DiskStore.open(disk.directory, MIB, collectingLog());
    const log = collectingLog();
    const open = await openEdgeCache(configOf(disk.directory, { log }));
    expect(log.said).toContain('disk cache cannot be used; going on without it');
    expect([open.health().l2, await ask(open, 'k', 'first')]).toEqual([false, 'origin: first']);
    await other.close();
    await until(() => open.health().l2 === true);
    await untilOnDisk(open, 'k', 'second');
    await open.close();
  });
});

describe('the control journal of a disk that is full for a while', () => {
  it('is written again as a whole, without a message of the time between', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mlcdn-journal-'));
    const path = join(directory, 'control.journal');
    const config = configOf(directory);
    // A directory in its place refuses every write of the journal, and nothing else.
    await mkdir(join(`${path}.new`, 'in the way'), { recursive: true });
    const first = await openEdgeCache(config);
    expect(first.health().l2).toBe(false);
    await ask(first, 'k', 'first');
    await until(() => first.cache.stats().entries.l2 === 1);
    first.cache.invalidateKeys(['k']);
    await rm(`${path}.new`, { recursive: true });
    await until(() => first.health().l2 === true);
    expect(await readFile(path, 'utf8')).toContain('"keys":[["k",1]]');
    await first.close();
    const second = await openEdgeCache(config);
    await until(() => second.cache.stats().entries.l2 > 0);
    expect(await ask(second, 'k', 'second')).toBe('origin: second');
    await second.close();
    await rm(directory, { recursive: true });
  });
});
