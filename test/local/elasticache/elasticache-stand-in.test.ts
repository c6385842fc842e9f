import { readFileSync } from 'node:fs';
import { DescribeReplicationGroupsCommand, ElastiCacheClient } from '@aws-sdk/client-elasticache';
import { createClient } from 'redis';
import { ElastiCacheStandIn } from '../../../local/elasticache/elasticache-stand-in';
import type { Running } from '../../../local/engine/types';
import { clientSettings, resource, testPlatform } from '../support/platform';

const platform = testPlatform();
let elasticache: ElastiCacheStandIn;
const stops: (() => Promise<void>)[] = [];
beforeAll(() => {
  elasticache = new ElastiCacheStandIn(platform.get());
  platform.get().front.serve(elasticache.api);
});
afterAll(async () => {
  for (const stop of stops) await stop();
});

async function start(type: string, logicalId: string, properties: Record<string, unknown>): Promise<Running> {
  const module = elasticache.modules.find((candidate) => candidate.type === `AWS::ElastiCache::${type}`);
  if (!module) throw new Error(`no module for ${type}`);
  const running = await module.start(resource(module.type, logicalId, properties));
  if (running.stop) stops.push(running.stop);
  return running;
}

const group = { ReplicationGroupDescription: 'cache', Engine: 'valkey', CacheNodeType: 'cache.t4g.micro' };

describe('an ElastiCache replication group', () => {
  test('is a real redis-server, over TLS of the local authority, with the parameter group of the template', async () => {
    const parameters = await start('ParameterGroup', 'Parameters', {
      CacheParameterGroupFamily: 'valkey8',
      Description: 'lfu',
      Properties: { 'maxmemory-policy': 'allkeys-lfu' },
    });
    const { ref, attributes } = await start('ReplicationGroup', 'Cache', {
      ...group,
      ReplicationGroupId: 'Mlcdn-Test',
      TransitEncryptionEnabled: true,
      CacheParameterGroupName: parameters.ref,
    });
    expect(ref).toBe('mlcdn-test');
    const address = `${attributes?.['PrimaryEndPoint.Address']}:${attributes?.['PrimaryEndPoint.Port']}`;
    const ca = readFileSync(platform.get().authority.file);
    const client = await createClient({ url: `rediss://${address}`, socket: { tls: true, ca } }).connect();
    await client.set('a', '1');
    expect(await client.get('a')).toBe('1');
    expect(await client.configGet('maxmemory-policy')).toEqual({ 'maxmemory-policy': 'allkeys-lfu' });
    expect(await client.configGet('save')).toEqual({ save: '' });
    await client.close();

    const stranger = createClient({ url: `rediss://${address}`, socket: { tls: true, reconnectStrategy: false } });
    stranger.on('error', () => {});
    await expect(stranger.connect()).rejects.toThrow(/self-signed|unable to (verify|get)/i);

    const described = await new ElastiCacheClient(clientSettings(platform.get())).send(
      new DescribeReplicationGroupsCommand({ ReplicationGroupId: 'mlcdn-test' }),
    );
    expect(described.ReplicationGroups).toMatchObject([
      {
        Status: 'available',
        TransitEncryptionEnabled: true,
        MemberClusters: ['mlcdn-test-001'],
        NodeGroups: [{ PrimaryEndpoint: { Port: Number(attributes?.['PrimaryEndPoint.Port']) } }],
      },
    ]);
    const elsewhere = new ElastiCacheClient(clientSettings(platform.get(), 'eu-west-1'));
    await expect(
      elsewhere.send(new DescribeReplicationGroupsCommand({ ReplicationGroupId: 'mlcdn-test' })),
    ).rejects.toMatchObject({
      name: 'ReplicationGroupNotFoundFault',
    });
  });

  test('that is lost is replaced by an empty one at the same place', async () => {
    const { attributes } = await start('ReplicationGroup', 'Lost', { ...group, ReplicationGroupId: 'lost' });
    const url = `redis://${attributes?.['PrimaryEndPoint.Address']}:${attributes?.['PrimaryEndPoint.Port']}`;
    const client = createClient({ url });
    client.on('error', () => undefined);
    await client.connect();
    await client.set('a', '1');
    const [, before] = /run_id:(\w+)/.exec(await client.info('server')) ?? [];
    await client.sendCommand(['SHUTDOWN', 'NOSAVE']).catch(() => undefined);
    // Whatever was asked of the lost one fails; what is asked of the next is answered.
    let left: string | null | undefined;
    while (left === undefined) left = await client.get('a').catch(() => undefined);
    expect(left).toBeNull();
    const [, after] = /run_id:(\w+)/.exec(await client.info('server')) ?? [];
    expect(after).not.toBe(before);
    client.destroy();
    expect(platform.lines).toContainEqual(expect.stringMatching(/^lost-us-east-1 was lost .* an empty node follows$/));
  });

  test('refuses what it would run differently', async () => {
    await expect(start('ReplicationGroup', 'Auth', { ...group, AuthToken: 'x' })).rejects.toThrow(
      'AuthToken of AWS::ElastiCache',
    );
    await expect(start('ReplicationGroup', 'Cluster', { ...group, NumNodeGroups: 2 })).rejects.toThrow(
      'NumNodeGroups must be 1',
    );
    await expect(start('ReplicationGroup', 'Subnetless', { ...group, CacheSubnetGroupName: 'gone' })).rejects.toThrow(
      'there is no subnet group gone in us-east-1',
    );
    const odd = { CacheParameterGroupFamily: 'valkey8', Description: 'x', Properties: { maxmemry: '1' } };
    await expect(start('ParameterGroup', 'Odd', odd)).rejects.toThrow('Properties.maxmemry');
  });

  test('a server that cannot start says why', async () => {
    const parameters = await start('ParameterGroup', 'Bad', {
      CacheParameterGroupFamily: 'valkey8',
      Description: 'x',
      Properties: { 'maxmemory-policy': 'allkeys-best' },
    });
    const broken = { ...group, ReplicationGroupId: 'broken', CacheParameterGroupName: parameters.ref };
    await expect(start('ReplicationGroup', 'Broken', broken)).rejects.toThrow(/redis-server did not start/);
  });

  test('a missing redis-server is one sentence that says what to install', async () => {
    const path = process.env.PATH;
    process.env.PATH = platform.directory;
    try {
      await expect(start('ReplicationGroup', 'Missing', { ...group, ReplicationGroupId: 'missing' })).rejects.toThrow(
        /redis-server is not installed: .*Debian.*Fedora.*macOS/,
      );
    } finally {
      process.env.PATH = path;
    }
  });
});
