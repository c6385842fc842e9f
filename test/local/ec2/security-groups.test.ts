import { once } from 'node:events';
import { connect } from 'node:net';
import { openGate } from '../../../local/ec2/gate';
import { PrivateEndpoints } from '../../../local/ec2/private-endpoints';
import { type NetworkInterface, type Peer, SecurityGroups } from '../../../local/ec2/security-groups';
import { resource } from '../support/platform';

const CLOUDFRONT_IN_US_EAST_1 = 'pl-3b927c52';

/** Groups by name, each a resource of one template. */
class Vpc {
  readonly log: string[] = [];
  readonly securityGroups = new SecurityGroups((line) => this.log.push(line));

  async group(name: string, properties: object = {}): Promise<string> {
    return (await this.start('SecurityGroup', name, { GroupDescription: name, ...properties })).ref;
  }

  async start(type: string, logicalId: string, properties: object) {
    const module = this.securityGroups.modules.find((candidate) => candidate.type === `AWS::EC2::${type}`);
    if (!module) throw new Error(`no module for ${type}`);
    return module.start(resource(module.type, logicalId, { ...properties }));
  }

  permits(from: Peer | string, to: Peer | string, port: number): boolean {
    const [source, target] = [from, to].map((side) => (typeof side === 'string' ? member(side) : side)) as [Peer, Peer];
    return this.securityGroups.permits(source, target, port);
  }
}

function member(...groups: string[]): Peer {
  return { kind: 'interface', interface: { name: `in ${groups}`, region: 'us-east-1', groups } };
}

const cloudFront: Peer = { kind: 'cloudfront' };
const aws: Peer = { kind: 'internet', name: 'AWS s3' };
const tcp = (port: number) => ({ IpProtocol: 'tcp', FromPort: port, ToPort: port });

/** What CDK writes for a group without any way out. */
const NO_EGRESS = { CidrIp: '255.255.255.255/32', IpProtocol: 'icmp', FromPort: 252, ToPort: 86 };

describe('security groups', () => {
  test('a connection needs egress of its source and ingress of its target, on the port', async () => {
    const vpc = new Vpc();
    const [tasks, cache] = [await vpc.group('Tasks'), await vpc.group('Cache', { SecurityGroupEgress: [NO_EGRESS] })];
    expect(vpc.permits(tasks, cache, 6379)).toBe(false);
    await vpc.start('SecurityGroupIngress', 'In', { GroupId: cache, SourceSecurityGroupId: tasks, ...tcp(6379) });
    expect(vpc.permits(tasks, cache, 6379)).toBe(true);
    expect(vpc.permits(tasks, cache, 6380)).toBe(false);
    expect(vpc.permits(cache, tasks, 6379)).toBe(false);
    expect(vpc.permits(cache, cache, 6379)).toBe(false);
    expect(vpc.permits(cloudFront, cache, 6379)).toBe(false);
  });

  test('what is dropped is logged once, with the rule that is missing', async () => {
    const vpc = new Vpc();
    const cache = await vpc.group('Cache');
    for (let i = 0; i < 3; i += 1) vpc.permits('default', cache, 6379);
    expect(vpc.log).toEqual([
      `security groups dropped in default -> in ${cache}:6379: no ingress rule of ${cache} lets tcp 6379 in from default`,
    ]);
  });

  test('a group lets everything out until an egress rule is given, in it or beside it', async () => {
    const vpc = new Vpc();
    const open = await vpc.group('Open');
    const closed = await vpc.group('Closed', { SecurityGroupEgress: [NO_EGRESS] });
    const beside = await vpc.group('Beside');
    expect([open, closed, beside].map((group) => vpc.permits(group, aws, 443))).toEqual([true, false, true]);
    await vpc.start('SecurityGroupEgress', 'Out', { GroupId: beside, DestinationSecurityGroupId: open, ...tcp(80) });
    expect(vpc.permits(beside, aws, 443)).toBe(false);
  });

  test('one group of several is enough', async () => {
    const vpc = new Vpc();
    const lists = [{ SourcePrefixListId: CLOUDFRONT_IN_US_EAST_1, ...tcp(443) }];
    const [plain, callers] = [await vpc.group('Plain'), await vpc.group('Callers', { SecurityGroupIngress: lists })];
    expect(vpc.permits(cloudFront, plain, 443)).toBe(false);
    expect(vpc.permits(cloudFront, member(plain, callers), 443)).toBe(true);
  });

  test("CloudFront's prefix list is the one of the region; any other is of Route 53's checkers", async () => {
    const vpc = new Vpc();
    const of = (id: string) => [{ SourcePrefixListId: id, ...tcp(443) }];
    const right = await vpc.group('Right', { SecurityGroupIngress: of(CLOUDFRONT_IN_US_EAST_1) });
    const wrong = await vpc.group('Wrong', { SecurityGroupIngress: of('pl-4fa04526') });
    expect([right, wrong].map((group) => vpc.permits(cloudFront, group, 443))).toEqual([true, false]);
    expect(vpc.permits(right, right, 443)).toBe(false);
    const checkers: Peer = { kind: 'route53' };
    expect([right, wrong].map((group) => vpc.permits(checkers, group, 443))).toEqual([false, true]);
  });

  test('members of the default group reach each other and everything outside', () => {
    const vpc = new Vpc();
    expect([vpc.permits(member(), member(), 1), vpc.permits(member(), aws, 443)]).toEqual([true, true]);
    expect(vpc.permits(cloudFront, member(), 443)).toBe(false);
  });

  test('rules that cannot be told apart on one machine are refused', async () => {
    const vpc = new Vpc();
    const group = (rule: object) => vpc.group('Odd', { SecurityGroupIngress: [rule] });
    await expect(group({ CidrIp: '10.0.0.0/16', ...tcp(443) })).rejects.toThrow(
      /addresses 10\.0\.0\.0\/16 cannot be told/,
    );
    await expect(group({ ...tcp(443) })).rejects.toThrow('names exactly one other side, this one names 0');
    await expect(group({ CidrIp: '0.0.0.0/0', IpProtocol: 'tcp', FromPort: 9, ToPort: 1 })).rejects.toThrow(
      'FromPort 9',
    );
    await expect(group({ CidrIp: '0.0.0.0/0', SourceSecurityGroupOwnerId: '1', ...tcp(1) })).rejects.toThrow('OwnerId');
  });
});

describe('endpoints in a VPC', () => {
  test('each client has its own gate in its environment; what is not admitted gets no byte', async () => {
    const endpoints = new PrivateEndpoints();
    const admitted: string[] = [];
    const withdraw = endpoints.add(7_000, (client, name) =>
      openGate(
        () => client !== undefined,
        (socket) => {
          admitted.push(name);
          socket.end('hello');
        },
      ),
    );
    const task: NetworkInterface = { name: 'task', region: 'us-east-1', groups: [] };
    const environment = { URL: 'rediss://127.0.0.1:7000/0', OTHER: '127.0.0.1:70001' };
    const inside = await endpoints.seenBy(task, 'task', environment);
    const outside = await endpoints.seenBy(undefined, 'function', environment);
    expect(inside.environment.OTHER).toBe('127.0.0.1:70001');
    expect(inside.environment.URL).not.toBe(outside.environment.URL);

    const hello = connect(Number(new URL(inside.environment.URL ?? '').port), '127.0.0.1');
    hello.on('error', () => undefined);
    const [greeting] = await once(hello, 'data');
    expect(String(greeting)).toBe('hello');
    const silent = connect(Number(new URL(outside.environment.URL ?? '').port), '127.0.0.1');
    await once(silent, 'connect');
    const received: unknown[] = [];
    silent.on('data', (data) => received.push(data));
    silent.on('error', () => undefined);
    silent.write('PING\r\n');
    const ended = new Promise((resolve) => silent.once('close', resolve));
    await Promise.all([inside.close(), outside.close()]);
    await ended;
    expect([received, admitted]).toEqual([[], ['task']]);

    withdraw();
    expect((await endpoints.seenBy(task, 'task', environment)).environment).toEqual(environment);
  });
});
