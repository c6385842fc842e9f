import { randomUUID } from 'node:crypto';
import { appendMessage, parseControlMessage } from '../../lambda/invalidation/append';
import { SharedRedis } from '../../lambda/redis-connection';
import { regionStatus } from '../../lambda/status/region-status';
import { CONTROL_KEYS, CONTROL_LOG_LENGTH, TASK_LIVENESS_MS } from '../../lib/core/control-log';
import type { ControlMessage } from '../../lib/core/control-message';
import { startRedis, type TestRedis } from '../support/redis';

let server: TestRedis;
let connection: Awaited<ReturnType<SharedRedis['connection']>>;

beforeAll(async () => {
  server = await startRedis();
  connection = await new SharedRedis(server.url).connection();
});
beforeEach(() => server.flush());
afterAll(async () => {
  connection.destroy();
  await server.stop();
});

function invalidate(id = randomUUID()): ControlMessage {
  return { kind: 'invalidate', id, targets: { keys: [], tags: ['model:ranker'], prefixes: [], patterns: [] } };
}

async function report(taskId: string, ageMs: number): Promise<void> {
  const [seconds, microseconds] = (await connection.sendCommand(['TIME'])) as unknown as [string, string];
  const at = Number(seconds) * 1000 + Number(microseconds) / 1000 - ageMs;
  const startedAt = new Date(0).toISOString();
  const body = { taskId, region: 'eu-west-1', startedAt, epoch: 'e', position: 1, channels: {}, models: {} };
  await connection.hSet(CONTROL_KEYS.tasks, taskId, JSON.stringify({ at: Math.floor(at), report: body }));
}

describe('appending to the control log', () => {
  test('numbers messages from one, and delivers a repeated one once', async () => {
    const [first, second] = [invalidate(), invalidate()];
    const places = [];
    for (const message of [first, second, first]) places.push(await appendMessage(connection, message));
    expect(places.map(({ position, appended }) => [position, appended])).toEqual([
      [1, true],
      [2, true],
      [1, false],
    ]);
    expect(new Set(places.map(({ epoch }) => epoch)).size).toBe(1);
    expect(await connection.xLen(CONTROL_KEYS.stream)).toBe(2);
  });

  test('starts a new epoch when the log was lost', async () => {
    const before = await appendMessage(connection, invalidate());
    await server.flush();
    const after = await appendMessage(connection, invalidate());
    expect(after.position).toBe(1);
    expect(after.epoch).not.toBe(before.epoch);
  });

  test('goes on after the epoch key alone was lost and the status was asked', async () => {
    await appendMessage(connection, invalidate());
    await connection.del([CONTROL_KEYS.epoch]);
    await regionStatus(connection, 'eu-west-1', { messageIds: [] });
    expect(await appendMessage(connection, invalidate())).toMatchObject({ position: 1, appended: true });
  });

  test('keeps a bounded number of messages and forgets the ids of the others', async () => {
    const excess = 3;
    for (let i = 0; i < CONTROL_LOG_LENGTH + excess; i++) await appendMessage(connection, invalidate());
    expect(await connection.xLen(CONTROL_KEYS.stream)).toBe(CONTROL_LOG_LENGTH);
    expect(await connection.hLen(CONTROL_KEYS.seen)).toBe(CONTROL_LOG_LENGTH);
  });

  test.each([
    ['{', /not JSON/],
    ['{"kind":"purge"}', /kind/],
    [JSON.stringify({ ...invalidate(), targets: {} }), /at least one key, tag, prefix or pattern/],
  ])('refuses %s', (text, reason) => {
    expect(() => parseControlMessage(text)).toThrow(reason);
  });
});

describe('the status of a region', () => {
  test('names live tasks, the head of the log and where asked-for messages stand', async () => {
    const known = invalidate();
    await appendMessage(connection, known);
    await report('live', 0);
    await report('gone', TASK_LIVENESS_MS + 1_000);
    const unknown = randomUUID();
    const status = await regionStatus(connection, 'eu-west-1', { messageIds: [known.id, unknown] });
    expect(status).toMatchObject({ region: 'eu-west-1', head: 1, positions: { [known.id]: 1 } });
    expect(Object.keys(status.positions)).not.toContain(unknown);
    expect(status.tasks.map(({ taskId }) => taskId)).toEqual(['live']);
  });
});
