import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Running } from '../../../local/engine/types';
import { EventsStandIn } from '../../../local/events/events-stand-in';
import { LambdaStandIn } from '../../../local/lambda/lambda-stand-in';
import { Queues } from '../../../local/sns/queues';
import { ACCOUNT } from '../support/cloud-assembly';
import { resource, testPlatform } from '../support/platform';

const REGION = 'us-east-1';
const MINUTE = 60_000;
const HANDLER = `
const { appendFileSync } = require('node:fs');
exports.handler = async (event) => {
  if (event.fail) throw new TypeError('cannot measure');
  appendFileSync(process.env.OUT, JSON.stringify(event) + '\\n');
};
`;

const platform = testPlatform();
let lambda: LambdaStandIn;
let events: EventsStandIn;
let functionArn: string;
let out: string;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const queues = new Queues(() => undefined, platform.get().iam);
  lambda = new LambdaStandIn(platform.get(), queues);
  out = join(platform.directory, 'events.jsonl');
  const role = await start('AWS::IAM::Role', 'Role', {
    AssumeRolePolicyDocument: {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }],
    },
  });
  const fn = await start('AWS::Lambda::Function', 'Measure', {
    ...{ Handler: 'index.handler', Runtime: 'nodejs24.x', Role: role.attributes?.Arn },
    ...{ Code: { ZipFile: HANDLER }, Environment: { Variables: { OUT: out } } },
  });
  functionArn = String(fn.attributes?.Arn);
});
beforeEach(() => {
  events = new EventsStandIn(lambda);
});
afterEach(() => {
  jest.useRealTimers();
});
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

async function start(type: string, logicalId: string, properties: Record<string, unknown>): Promise<Running> {
  const modules = [...platform.get().iam.modules, ...lambda.modules, ...(events?.modules ?? [])];
  const module = modules.find((candidate) => candidate.type === type);
  if (!module) throw new Error(`no module for ${type}`);
  const running = await module.start(resource(type, logicalId, properties));
  if (running.stop) stops.push(running.stop);
  return running;
}

const rule = (logicalId: string, properties: Record<string, unknown> = {}) =>
  start('AWS::Events::Rule', logicalId, {
    ScheduleExpression: 'rate(1 minute)',
    Targets: [{ Id: 'Target0', Arn: functionArn }],
    ...properties,
  });

function received(): Record<string, unknown>[] {
  if (!existsSync(out)) return [];
  return readFileSync(out, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function receivedAtLeast(count: number): Promise<Record<string, unknown>[]> {
  while (received().length < count) await delay(10);
  return received();
}

test('a rule invokes its function one period after it was made, and then every period, until it is gone', async () => {
  // The function is a process of its own and needs real time; only the rule's clock is the test's.
  const { setInterval: realSetInterval } = globalThis;
  const fired: { every: number | undefined; fire: () => void }[] = [];
  const intervals = jest.spyOn(globalThis, 'setInterval').mockImplementation(((fire: () => void, every?: number) => {
    fired.push({ every, fire });
    return realSetInterval(() => undefined, 2 ** 30).unref();
  }) as typeof setInterval);
  const running = await rule('Every', { ScheduleExpression: 'rate(5 minutes)' });
  intervals.mockRestore();
  expect(fired.map(({ every }) => every)).toEqual([5 * MINUTE]);
  const before = received().length;
  fired[0]?.fire();
  fired[0]?.fire();
  const [event] = (await receivedAtLeast(before + 2)).slice(before);
  expect(event).toMatchObject({
    'detail-type': 'Scheduled Event',
    source: 'aws.events',
    account: ACCOUNT,
    region: REGION,
    resources: [running.attributes?.Arn],
  });
  await running.stop?.();
  await events.firePeriod();
  expect(received()).toHaveLength(before + 2);
});

test('a target with an input of its own gets that instead', async () => {
  const before = received().length;
  await rule('Own', { Targets: [{ Id: 'T', Arn: functionArn, Input: '{"a":1}' }] });
  await events.firePeriod();
  expect((await receivedAtLeast(before + 1)).slice(before)).toEqual([{ a: 1 }]);
});

test('a disabled rule invokes nobody', async () => {
  const before = received().length;
  await rule('Off', { State: 'DISABLED' });
  await events.firePeriod();
  expect(received()).toHaveLength(before);
});

test('what a function failed with is told to who lets a period pass', async () => {
  await rule('Fails', { Targets: [{ Id: 'T', Arn: functionArn, Input: '{"fail":true}' }] });
  await expect(events.firePeriod()).rejects.toThrow('cannot measure');
});

test('a function that does not let the rule call it is a finding', async () => {
  const running = await rule('Unpermitted');
  const arn = String(running.attributes?.Arn);
  expect(events.findings()).toEqual([
    `edge/Unpermitted: ${functionArn} has no AWS::Lambda::Permission for events.amazonaws.com from ${arn}`,
  ]);
  await start('AWS::Lambda::Permission', 'Permit', {
    ...{ FunctionName: functionArn, Action: 'lambda:InvokeFunction', Principal: 'events.amazonaws.com' },
    SourceArn: arn,
  });
  expect(events.findings()).toEqual([]);
});

test.each([
  ['cron(0 * * * ? *)', /only rate\(<n> <unit>\) is run here/],
  ['rate(0 minutes)', /only rate/],
])('a schedule that is not run here is refused: %s', async (ScheduleExpression, why) => {
  await expect(rule('Odd', { ScheduleExpression })).rejects.toThrow(why);
});

test('a target that does not exist is refused', async () => {
  const lost = `arn:aws:lambda:${REGION}:${ACCOUNT}:function:lost`;
  await expect(rule('Lost', { Targets: [{ Id: 'T', Arn: lost }] })).rejects.toThrow(`there is no function ${lost}`);
});
