import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { createClient } from 'redis';
import { elastiCacheToken } from '../../../lib/core/elasticache-token';
import { ElastiCacheStandIn } from '../../../local/elasticache/elasticache-stand-in';
import { LoginRewriter } from '../../../local/elasticache/login-rewriter';
import type { Running } from '../../../local/engine/types';
import type { CredentialVariables } from '../../../local/iam/iam-stand-in';
import { resource, testPlatform } from '../support/platform';

const command = (...words: string[]) =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;

describe('the stream of commands', () => {
  const word = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('AUTH', 'auth', 'HELLO', '*3\r\n', '$4\r\n'));
  const other = fc
    .array(word, { minLength: 1, maxLength: 4 })
    .filter(([name = '']) => !/^(auth|hello)$/i.test(name))
    .map((words) => ({ sent: command(...words), expected: command(...words) }));
  const login = fc.constantFrom(
    { sent: command('AUTH', 'edge', 'token'), expected: command('AUTH', 'edge', 'secret') },
    { sent: command('hello', '3', 'auth', 'edge', 'token'), expected: command('hello', '3', 'auth', 'edge', 'secret') },
    { sent: command('HELLO', '3'), expected: command('HELLO', '3') },
    { sent: command('AUTH', 'password'), expected: command('AUTH', 'password') },
    { sent: command('AUTH', 'other', 'token'), expected: command('AUTH', 'other', 'token') },
  );

  test('passes as it came but for accepted tokens, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(other, login), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        async (commands, cuts) => {
          const bytes = Buffer.from(commands.map(({ sent }) => sent).join(''));
          const pieces: Buffer[] = [];
          for (let at = 0, cut = 0; at < bytes.length; cut += 1) {
            const size = cuts[cut % cuts.length] ?? 1;
            pieces.push(bytes.subarray(at, at + size));
            at += size;
          }
          const rewriter = new LoginRewriter((user, token) =>
            user === 'edge' && token === 'token' ? 'secret' : undefined,
          );
          const passed = await buffer(Readable.from(pieces).pipe(rewriter));
          expect(passed.toString()).toBe(commands.map(({ expected }) => expected).join(''));
        },
      ),
    );
  });
});

describe('a cache with users', () => {
  const platform = testPlatform();
  const stops: (() => Promise<void>)[] = [];
  let endpoint: string;
  let cacheSecurityGroup: string;
  let roleArn: string;

  async function start(
    modules: readonly { type: string; start: (r: ReturnType<typeof resource>) => Promise<Running> }[],
    type: string,
    id: string,
    properties: object,
  ) {
    const module = modules.find((candidate) => candidate.type === type);
    if (!module) throw new Error(`no module for ${type}`);
    const running = await module.start(resource(type, id, { ...properties }));
    if (running.stop) stops.push(running.stop);
    return running;
  }

  beforeAll(async () => {
    const { iam, securityGroups } = platform.get();
    const elasticache = new ElastiCacheStandIn(platform.get());
    const cache = (type: string, id: string, properties: object) =>
      start(elasticache.modules, `AWS::ElastiCache::${type}`, id, properties);
    for (const id of ['edge', 'control']) {
      const AccessString =
        id === 'edge' ? 'on ~* -@all +@connection +@read +@write -@dangerous' : 'on ~c:* -@all +@connection +@read';
      await cache('User', `User-${id}`, {
        ...{ UserId: id, UserName: id, Engine: 'valkey', AccessString },
        AuthenticationMode: { Type: 'iam' },
      });
    }
    await cache('UserGroup', 'Users', { UserGroupId: 'users', Engine: 'valkey', UserIds: ['edge', 'control'] });
    const group = { GroupDescription: 'cache' };
    cacheSecurityGroup = (await start(securityGroups.modules, 'AWS::EC2::SecurityGroup', 'Cache', group)).ref;
    const { attributes } = await cache('ReplicationGroup', 'Valkey', {
      ...{ ReplicationGroupDescription: 'cache', Engine: 'valkey', CacheNodeType: 'cache.t4g.micro' },
      ...{ ReplicationGroupId: 'logins', TransitEncryptionEnabled: true, UserGroupIds: ['users'] },
      SecurityGroupIds: [cacheSecurityGroup],
    });
    endpoint = `rediss://${attributes?.['PrimaryEndPoint.Address']}:${attributes?.['PrimaryEndPoint.Port']}`;
    const trust = [{ Effect: 'Allow', Principal: { Service: 'ecs-tasks.amazonaws.com' }, Action: 'sts:AssumeRole' }];
    const connect = {
      Effect: 'Allow',
      Action: 'elasticache:Connect',
      Resource: ['replicationgroup:logins', 'user:edge'].map(
        (id) => `arn:aws:elasticache:us-east-1:000000000000:${id}`,
      ),
    };
    const role = await start(iam.modules, 'AWS::IAM::Role', 'Role', {
      AssumeRolePolicyDocument: { Version: '2012-10-17', Statement: trust },
      Policies: [{ PolicyName: 'connect', PolicyDocument: { Version: '2012-10-17', Statement: [connect] } }],
    });
    roleArn = String(role.attributes?.Arn);
  });
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
  });

  async function logIn(
    url: string,
    credentials: CredentialVariables,
    userId: string,
    signed = userId,
    at = new Date(),
  ) {
    const keys = { accessKeyId: credentials.AWS_ACCESS_KEY_ID, secretAccessKey: credentials.AWS_SECRET_ACCESS_KEY };
    const iam = { userId: signed, cacheName: 'logins', region: 'us-east-1' };
    const client = createClient({
      url,
      username: userId,
      password: await elastiCacheToken(iam, keys, at),
      socket: {
        tls: true,
        ca: readFileSync(platform.get().authority.file),
        reconnectStrategy: false,
        connectTimeout: 3_000,
      },
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  const session = () => platform.get().iam.assumeRole(roleArn, 'ecs-tasks.amazonaws.com', 'test', undefined);

  test('lets in whom the role may be, as often as they log in, with the rights of the access list', async () => {
    const client = await logIn(endpoint, session(), 'edge');
    await client.set('a', '1');
    expect(await client.get('a')).toBe('1');
    await expect(client.flushAll()).rejects.toThrow('NOPERM');
    const keys = session();
    const token = await elastiCacheToken(
      { userId: 'edge', cacheName: 'logins', region: 'us-east-1' },
      { accessKeyId: keys.AWS_ACCESS_KEY_ID, secretAccessKey: keys.AWS_SECRET_ACCESS_KEY },
      new Date(),
    );
    expect(await client.auth({ username: 'edge', password: token })).toBe('OK');
    client.destroy();
  });

  test('refuses a user that the role may not be, and says which statement is missing', async () => {
    await expect(logIn(endpoint, session(), 'control')).rejects.toThrow('WRONGPASS');
    expect(platform.lines.at(-1)).toMatch(
      /IAM denied elasticache:Connect on arn:aws:elasticache:us-east-1:000000000000:user:control to role edge-Role-/,
    );
  });

  test('refuses a token for another user, an old one, and a key that nobody has', async () => {
    const old = new Date(Date.now() - 16 * 60_000);
    const nobody = { AWS_ACCESS_KEY_ID: 'LOCALNOBODY', AWS_SECRET_ACCESS_KEY: 'x' };
    await expect(logIn(endpoint, session(), 'edge', 'control')).rejects.toThrow('WRONGPASS');
    await expect(logIn(endpoint, session(), 'edge', 'edge', old)).rejects.toThrow('WRONGPASS');
    await expect(logIn(endpoint, nobody, 'edge')).rejects.toThrow('WRONGPASS');
  });

  test('a client that no rule lets in connects to silence', async () => {
    const { privateEndpoints, securityGroups } = platform.get();
    const task = { name: 'task', region: 'us-east-1', groups: [] };
    const { environment, close } = await privateEndpoints.seenBy(task, 'task', { URL: endpoint });
    await expect(logIn(environment.URL ?? '', session(), 'edge')).rejects.toThrow(/timeout/i);
    expect(platform.lines.at(-1)).toContain(`no ingress rule of ${cacheSecurityGroup} lets tcp 6379 in from default`);
    const rule = { IpProtocol: 'tcp', FromPort: 6379, ToPort: 6379, CidrIp: '0.0.0.0/0', GroupId: cacheSecurityGroup };
    await start(securityGroups.modules, 'AWS::EC2::SecurityGroupIngress', 'In', rule);
    const client = await logIn(environment.URL ?? '', session(), 'edge');
    expect(await client.ping()).toBe('PONG');
    client.destroy();
    await close();
  });
});
