import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Registry } from 'prom-client';
import { Transfers } from '../../../containers/edge/http-cache/transfers';
import { exportTaskProtection, TaskProtection } from '../../../containers/edge/task-protection';

const MINUTE = 60_000;
const AFTER_MS = 10_000;
const ON = (minutes: number) => ({ ProtectionEnabled: true, ExpiresInMinutes: minutes });
const OFF = { ProtectionEnabled: false };

const asked: unknown[] = [];
let now = 0;
let answer: (response: ServerResponse, enabled: boolean) => void;
let agent: Server;
let agentUri: string;

beforeAll(async () => {
  agent = createServer(async (request, response) => {
    expect(`${request.method} ${request.url}`).toBe('PUT /api/task-1/task-protection/v1/state');
    expect(request.headers['content-type']).toBe('application/json');
    const state = JSON.parse(await text(request)) as { ProtectionEnabled: boolean };
    asked.push(state);
    answer(response, state.ProtectionEnabled);
  }).listen(0, '127.0.0.1');
  await once(agent, 'listening');
  agentUri = `http://127.0.0.1:${(agent.address() as AddressInfo).port}/api/task-1`;
});
afterAll(() => {
  agent.closeAllConnections();
  agent.close();
});

/** As the agent answers what ECS has done. */
function obey(response: ServerResponse, enabled: boolean): void {
  response.end(JSON.stringify({ protection: { TaskArn: 'arn', ProtectionEnabled: enabled } }));
}

/** As the agent answers when ECS says no. */
function refuseWith(status: number, body: object): void {
  answer = (response) => void response.writeHead(status).end(JSON.stringify(body));
}

interface Line {
  readonly level: 'info' | 'warn';
  readonly complaint?: unknown;
}

function underTest() {
  const lines: Line[] = [];
  const clock = () => now;
  const transfers = new Transfers(clock);
  const log = {
    info: (fields: object) => void lines.push({ level: 'info', ...fields }),
    warn: (fields: object) => void lines.push({ level: 'warn', ...fields }),
  };
  const protection = new TaskProtection({ agentUri, transfers, afterMs: AFTER_MS, log, clock });
  /** Lets time pass as the service does: a look every second. */
  const pass = async (ms: number) => {
    for (const end = now + ms; now < end; ) {
      now = Math.min(end, now + 1_000);
      await protection.check();
    }
  };
  return { transfers, protection, lines, pass };
}

beforeEach(() => {
  asked.length = 0;
  now = 0;
  answer = obey;
});

describe('a task that sends bodies', () => {
  test('asks for nothing while they are short, however many there are', async () => {
    const { transfers, protection, pass } = underTest();
    for (let i = 0; i < 10; i += 1) {
      const response = {};
      transfers.begin(response);
      await pass(AFTER_MS - 1_000);
      transfers.end(response);
    }
    expect(asked).toEqual([]);
    expect(protection.isProtected).toBe(false);
  });

  test('is protected from the moment that one takes long until the last of them has ended', async () => {
    const { transfers, protection, pass } = underTest();
    const [first, second] = [{}, {}];
    transfers.begin(first);
    await pass(5_000);
    transfers.begin(second);
    await pass(5_000);
    expect(asked).toEqual([ON(10)]);
    expect(protection).toMatchObject({ isProtected: true, longTransfers: 1 });
    transfers.end(first);
    await pass(20_000);
    transfers.end(second);
    await pass(5_000);
    expect(asked).toEqual([ON(10), OFF, ON(10), OFF]);
    expect(protection).toMatchObject({ isProtected: false, longTransfers: 0, errors: 0 });
  });

  test('renews before the protection ends, for half an hour in one go, and is then free to be taken', async () => {
    const { transfers, protection, pass } = underTest();
    transfers.begin({});
    await pass(AFTER_MS);
    await pass(5 * MINUTE);
    expect(asked).toEqual([ON(10), ON(10)]);
    await pass(20 * MINUTE);
    expect(asked).toEqual([ON(10), ON(10), ON(10), ON(10), ON(10)]);
    await pass(5 * MINUTE - 1_000);
    expect(protection.isProtected).toBe(true);
    asked.length = 0;
    await pass(1_000);
    expect(protection.isProtected).toBe(false);
    await pass(2 * MINUTE - 1_000);
    expect(protection.isProtected).toBe(false);
    expect(asked).toEqual([]);
    await pass(1_000);
    expect(protection.isProtected).toBe(true);
  });

  test('never asks for time beyond the half hour', async () => {
    const { transfers, pass } = underTest();
    transfers.begin({});
    let ends = 0;
    answer = (response, enabled) => {
      const { ExpiresInMinutes = 0 } = asked.at(-1) as { ExpiresInMinutes?: number };
      ends = Math.max(ends, now + ExpiresInMinutes * MINUTE);
      obey(response, enabled);
    };
    await pass(AFTER_MS + 30 * MINUTE);
    expect(ends).toBe(AFTER_MS + 30 * MINUTE);
  });
});

describe('an agent that does not do as asked', () => {
  test.each([
    [
      400,
      { error: { Arn: 'arn', Code: 'AccessDeniedException', Message: 'not authorized' } },
      'AccessDeniedException: not authorized',
    ],
    [200, { failure: { Arn: 'arn', Reason: 'DEPLOYMENT_BLOCKED' } }, 'DEPLOYMENT_BLOCKED'],
    [200, { protection: { ProtectionEnabled: false } }, 'HTTP status 200'],
    [500, {}, 'HTTP status 500'],
  ])('by %d %j is asked again after a while; it is counted, and logged once', async (status, body, complaint) => {
    const { transfers, protection, lines, pass } = underTest();
    refuseWith(status, body);
    transfers.begin({});
    await pass(AFTER_MS + 30_000);
    expect(asked).toEqual([ON(10), ON(10), ON(10)]);
    expect(protection).toMatchObject({ isProtected: false, errors: 3 });
    expect(lines).toEqual([expect.objectContaining({ level: 'warn', complaint })]);
    answer = obey;
    await pass(15_000);
    expect(protection).toMatchObject({ isProtected: true, errors: 3 });
  });

  test('by hanging up, or by an answer that is no JSON, fails no more than that', async () => {
    const { transfers, protection, pass } = underTest();
    transfers.begin({});
    answer = (response) => void response.destroy();
    await pass(AFTER_MS);
    answer = (response) => void response.end('<html>');
    await pass(15_000);
    expect(protection).toMatchObject({ isProtected: false, errors: 2 });
  });

  test('to the release is asked again until the protection has ended by itself', async () => {
    const { transfers, protection, pass } = underTest();
    const response = {};
    transfers.begin(response);
    await pass(AFTER_MS);
    transfers.end(response);
    refuseWith(500, {});
    await pass(11 * MINUTE);
    expect(protection.isProtected).toBe(false);
    const times = asked.length;
    await pass(5 * MINUTE);
    expect(asked).toHaveLength(times);
  });

  test('to a renewal is asked again while the protection lasts, and afterwards', async () => {
    const { transfers, protection, pass } = underTest();
    transfers.begin({});
    await pass(AFTER_MS);
    refuseWith(200, { failure: { Arn: 'arn', Reason: 'DEPLOYMENT_BLOCKED' } });
    await pass(9 * MINUTE);
    expect(protection.isProtected).toBe(true);
    await pass(2 * MINUTE);
    expect(protection.isProtected).toBe(false);
    answer = obey;
    await pass(15_000);
    expect(protection.isProtected).toBe(true);
  });

  test('yet is not asked a second time meanwhile', async () => {
    const { transfers, protection } = underTest();
    transfers.begin({});
    now = AFTER_MS;
    const replies: (() => void)[] = [];
    answer = (response) => void replies.push(() => obey(response, true));
    const first = protection.check();
    while (replies.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await protection.check();
    replies[0]?.();
    await first;
    expect(asked).toHaveLength(1);
  });
});

test('metrics tell long transfers, protection and errors', async () => {
  const { transfers, protection, pass } = underTest();
  const registry = new Registry();
  exportTaskProtection(registry, protection);
  transfers.begin({});
  refuseWith(500, {});
  await pass(AFTER_MS);
  answer = obey;
  await pass(15_000);
  const page = await registry.metrics();
  expect(page).toMatch(/^cdn_long_transfers 1$/m);
  expect(page).toMatch(/^cdn_task_protected 1$/m);
  expect(page).toMatch(/^cdn_task_protection_errors_total 1$/m);
});
