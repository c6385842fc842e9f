import { measureRegions, nextTable } from '../../lambda/region-scores/measure';
import type { TaskTraffic } from '../../lib/core/task-report';

const REGION = 'eu-west-1';

function status(traffic: readonly (TaskTraffic | undefined)[]): unknown {
  const tasks = traffic.map((each, index) => ({
    ...{ taskId: `t${index}`, region: REGION, startedAt: '2026-11-22T00:00:00Z', epoch: 'e', position: 0 },
    ...{ channels: {}, models: {}, ...(each && { traffic: each }) },
  }));
  return { region: REGION, epoch: 'e', head: 0, tasks, positions: {} };
}

const serving = (load: number, hitRate: number): TaskTraffic => ({ serving: true, load, hitRate });

describe('a measurement', () => {
  let logged: jest.SpyInstance;
  beforeEach(() => {
    logged = jest.spyOn(console, 'error').mockImplementation(() => undefined);
  });
  afterEach(() => logged.mockRestore());

  test.each([
    [
      'is the mean of the tasks that serve',
      [serving(0.2, 1), serving(0.6, 0.5), { serving: false, load: 1, hitRate: 0 }],
      { state: 'healthy', load: 0.4, hitRate: 0.75 },
    ],
    ['leaves out tasks that do not say', [serving(0.2, 1), undefined], { state: 'healthy', load: 0.2, hitRate: 1 }],
    ['without a task is unhealthy', [], { state: 'unhealthy' }],
    ['without a task that serves is unhealthy', [{ serving: false, load: 0, hitRate: 0 }], { state: 'unhealthy' }],
    ['of tasks that say nothing is unknown', [undefined], { state: 'unknown' }],
  ])('%s', async (_what, traffic, expected) => {
    const [reading] = await measureRegions([REGION], async () => status(traffic));
    expect(reading).toMatchObject({ region: REGION, ...expected });
  });

  test('of a region that cannot be asked is unknown, with the reason in the log; the others are measured', async () => {
    const readings = await measureRegions(['us-east-1', REGION], async (region) => {
      if (region === REGION) throw new Error('Valkey is away');
      return status([serving(0.1, 0.9)]);
    });
    expect(readings.map(({ state }) => state)).toEqual(['healthy', 'unknown']);
    expect(logged.mock.calls.join()).toMatch(/eu-west-1.*Valkey is away/);
  });
});

describe('the next table', () => {
  const healthy = { region: REGION, state: 'healthy' as const, load: 0.8, hitRate: 0.2 };
  const before = { measuredAt: 1_000, regions: [{ ...healthy, load: 0.4, hitRate: 0.6 }] };

  test('moves half of the way', () => {
    const next = nextTable(before, [healthy], 1_060.9);
    expect(next.measuredAt).toBe(1_060);
    expect(next.regions[0]?.load).toBeCloseTo(0.6, 12);
    expect(next.regions[0]?.hitRate).toBeCloseTo(0.4, 12);
  });

  test.each([
    ['the last one is stale', 1_301],
    ['there was none', 1_060],
  ])('moves all of the way when %s', (why, now) => {
    const previous = why === 'there was none' ? { measuredAt: 0, regions: [] } : before;
    expect(nextTable(previous, [healthy], now).regions).toEqual([healthy]);
  });

  test('believes a change of health at once', () => {
    const sick = { ...healthy, state: 'unhealthy' as const, load: 0, hitRate: 0 };
    const sickBefore = { measuredAt: 1_000, regions: [sick] };
    expect(nextTable(before, [sick], 1_060).regions).toEqual([sick]);
    expect(nextTable(sickBefore, [healthy], 1_060).regions).toEqual([healthy]);
  });

  test('leaves a drained region drained, however old the table, and forgets regions that are gone', () => {
    const drained = { region: REGION, state: 'drained' as const, load: 0, hitRate: 0 };
    const gone = { ...healthy, region: 'us-west-2' };
    const next = nextTable({ measuredAt: 0, regions: [drained, gone] }, [healthy], 9_000_000);
    expect(next.regions).toEqual([drained]);
  });
});
