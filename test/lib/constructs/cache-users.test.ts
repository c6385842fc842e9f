import { readFileSync } from 'node:fs';
import { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { createClient } from 'redis';
import { CacheUsers } from '../../../lib/constructs/cache-users';
import { APPEND_SCRIPT, CONTROL_KEYS, CONTROL_LOG_LENGTH, ENSURE_LOG_SCRIPT } from '../../../lib/core/control-log';
import { elastiCacheToken } from '../../../lib/core/elasticache-token';
import { ElastiCacheStandIn } from '../../../local/elasticache/elasticache-stand-in';
import { resource, testPlatform } from '../../local/support/platform';

const CACHE = 'users-test';

const platform = testPlatform();
const opened: { destroy(): void }[] = [];
let url: string;
let roleArn: string;
let stop: (() => Promise<void>) | undefined;

/** A cache with the users of the template. */
beforeAll(async () => {
  process.env.CDK_VALIDATION = 'false';
  const stack = new Stack();
  new CacheUsers(stack, 'Users', { environment: 'test', account: '000000000000' });
  const found = Template.fromStack(stack).findResources('AWS::ElastiCache::User');
  const users = Object.values(found).map(({ Properties }) => Properties as Record<string, unknown>);
  const elasticache = new ElastiCacheStandIn(platform.get());
  const start = (type: string, id: string, properties: Record<string, unknown>) => {
    const module = elasticache.modules.find((candidate) => candidate.type === `AWS::ElastiCache::${type}`);
    return module?.start(resource(module.type, id, properties));
  };
  for (const user of users) await start('User', String(user.UserId), user);
  await start('UserGroup', 'Group', {
    UserGroupId: 'mlcdn-test',
    Engine: 'valkey',
    UserIds: users.map(({ UserId }) => UserId),
  });
  const running = await start('ReplicationGroup', 'Valkey', {
    ReplicationGroupId: CACHE,
    ReplicationGroupDescription: 'cache',
    Engine: 'valkey',
    CacheNodeType: 'cache.t4g.micro',
    TransitEncryptionEnabled: true,
    UserGroupIds: ['mlcdn-test'],
  });
  url = `rediss://127.0.0.1:${running?.attributes?.['PrimaryEndPoint.Port']}`;
  stop = running?.stop;
  const role = platform.get().iam.modules.find(({ type }) => type === 'AWS::IAM::Role');
  const trust = { Effect: 'Allow', Principal: { Service: 'ecs-tasks.amazonaws.com' }, Action: 'sts:AssumeRole' };
  const connect = { Effect: 'Allow', Action: 'elasticache:Connect', Resource: 'arn:aws:elasticache:*' };
  const document = (statement: object) => ({ Version: '2012-10-17', Statement: [statement] });
  const entering = await role?.start(
    resource('AWS::IAM::Role', 'Role', {
      AssumeRolePolicyDocument: document(trust),
      Policies: [{ PolicyName: 'connect', PolicyDocument: document(connect) }],
    }),
  );
  roleArn = String(entering?.attributes?.Arn);
});
afterAll(async () => {
  for (const client of opened) client.destroy();
  await stop?.();
});

/** A token of a role that may enter as anybody: what a user may then do is the access list's to say. */
function tokenFor(userId: string): Promise<string> {
  const { iam } = platform.get();
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = iam.assumeRole(
    roleArn,
    'ecs-tasks.amazonaws.com',
    'test',
    undefined,
  );
  const keys = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY };
  return elastiCacheToken({ userId, cacheName: CACHE, region: 'us-east-1' }, keys, new Date());
}

async function client(username?: string) {
  const created = createClient({
    url,
    ...(username === undefined ? {} : { username, password: await tokenFor(username) }),
    socket: { tls: true, ca: readFileSync(platform.get().authority.file), reconnectStrategy: false },
  });
  created.on('error', () => undefined);
  return created;
}

async function login(username: string) {
  const connected = await (await client(username)).connect();
  opened.push(connected);
  return connected;
}

const LOG = [CONTROL_KEYS.epoch, CONTROL_KEYS.head, CONTROL_KEYS.stream, CONTROL_KEYS.seen];

test('the control functions may append to the log, announce it and read reports, and nothing beside', async () => {
  const control = await login('mlcdn-test-control');
  await control.eval(ENSURE_LOG_SCRIPT, { keys: LOG, arguments: ['e'] });
  const append = ['e', 'id', '{"id":"id"}', String(CONTROL_LOG_LENGTH), CONTROL_KEYS.channel];
  expect(await control.eval(APPEND_SCRIPT, { keys: LOG, arguments: append })).toEqual(['e', '1', 1]);
  await control.hGetAll(CONTROL_KEYS.tasks);
  await control.time();
  await expect(control.get('mlcdn:entry:2:{a}')).rejects.toThrow('NOPERM');
  await expect(control.flushAll()).rejects.toThrow('NOPERM');
});

test('edge tasks may read and write entries and follow the log, but not empty or reconfigure the cache', async () => {
  const edge = await login('mlcdn-test-edge');
  await edge.set('mlcdn:entry:2:{a}', 'v', { PX: 1000 });
  await edge.mGet(['mlcdn:entry:2:{a}']);
  await edge.eval("return redis.call('GETRANGE', KEYS[1], 0, 3)", { keys: ['mlcdn:entry:2:{a}'] });
  await edge.scan('0', { MATCH: 'mlcdn:entry:*' });
  await edge.eval(ENSURE_LOG_SCRIPT, { keys: LOG, arguments: ['e'] });
  await edge.xRange(CONTROL_KEYS.stream, '-', '+');
  await edge.multi().get(CONTROL_KEYS.epoch).time().exec();
  expect(await edge.info('memory')).toContain('used_memory');
  const follower = await login('mlcdn-test-edge');
  await follower.subscribe(CONTROL_KEYS.channel, () => undefined);
  await expect(edge.set('other', 'v')).rejects.toThrow('NOPERM');
  await expect(edge.flushAll()).rejects.toThrow('NOPERM');
  await expect(edge.configGet('*')).rejects.toThrow('NOPERM');
});

test('nobody enters without a user', async () => {
  await expect((await client()).connect()).rejects.toThrow('NOAUTH');
});
