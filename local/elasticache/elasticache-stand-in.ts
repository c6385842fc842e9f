import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { queryApi } from '../aws-front/query-protocol';
import { ServiceError } from '../aws-front/service-error';
import type { Gate } from '../ec2/gate';
import type { NetworkInterface } from '../ec2/security-groups';
import { physicalName } from '../engine/physical-name';
import type { Platform } from '../engine/platform';
import { Flag, parseProperties } from '../engine/properties';
import type { AwsApi, Resource, ResourceModule, Running } from '../engine/types';
import { openCacheGate } from './cache-gate';
import { CacheUsers } from './cache-users';
import { type RedisServer, startRedisServer } from './redis-server';

/** Parameters of ElastiCache parameter groups that are directives of `redis-server` 7 under the same name. */
const REDIS_DIRECTIVES = new Set([
  'activedefrag',
  'active-expire-effort',
  'hz',
  'lazyfree-lazy-eviction',
  'lazyfree-lazy-expire',
  'lazyfree-lazy-user-del',
  'lazyfree-lazy-user-flush',
  'lfu-decay-time',
  'lfu-log-factor',
  'maxmemory-policy',
  'maxmemory-samples',
  'notify-keyspace-events',
  'slowlog-log-slower-than',
  'slowlog-max-len',
  'tcp-keepalive',
  'timeout',
]);

/** Parameters about the managed service's memory or cluster mode, without a counterpart on one machine. */
const INERT_PARAMETERS = new Set(['reserved-memory-percent', 'cluster-enabled']);

const ReplicationGroup = z.object({
  ReplicationGroupId: z.string().max(40).optional(),
  ReplicationGroupDescription: z.string(),
  Engine: z.enum(['valkey', 'redis']).default('redis'),
  CacheParameterGroupName: z.string().optional(),
  CacheSubnetGroupName: z.string().optional(),
  CacheNodeType: z.string(),
  NumNodeGroups: z.coerce
    .number()
    .int()
    .max(1, { error: 'cluster mode is not run here: NumNodeGroups must be 1' })
    .default(1),
  TransitEncryptionEnabled: Flag.default(false),
  UserGroupIds: z.array(z.string()).max(1, { error: 'a cache has one user group' }).default([]),
  SecurityGroupIds: z.array(z.string()).default([]),
  Port: z.coerce.number().int().default(6379),
});

const INERT_GROUP_PROPERTIES = [
  'AtRestEncryptionEnabled',
  'AutomaticFailoverEnabled',
  'AutoMinorVersionUpgrade',
  'ClusterMode',
  'Durability',
  'EngineVersion',
  'IpDiscovery',
  'KmsKeyId',
  'LogDeliveryConfigurations',
  'MultiAZEnabled',
  'NetworkType',
  'NotificationTopicArn',
  'NumCacheClusters',
  'PreferredMaintenanceWindow',
  'ReplicasPerNodeGroup',
  'SnapshotRetentionLimit',
  'SnapshotWindow',
  'TransitEncryptionMode',
];

const ParameterGroup = z.object({
  CacheParameterGroupFamily: z.string(),
  CacheParameterGroupName: z.string().optional(),
  Description: z.string(),
  Properties: z.record(z.string(), z.coerce.string()).default({}),
});

const SubnetGroup = z.object({
  CacheSubnetGroupName: z.string().optional(),
  Description: z.string(),
  SubnetIds: z.array(z.string()).min(1),
});

interface RunningGroup {
  readonly id: string;
  readonly region: string;
  readonly description: string;
  readonly engine: string;
  readonly nodeType: string;
  readonly tls: boolean;
  readonly server: RedisServer;
  /** Where whoever operates this machine reaches it. */
  readonly port: number;
}

/**
 * ElastiCache: one real `redis-server` for each replication group, behind gates that end TLS. Replica nodes are not run;
 * the reader endpoint is the primary. Security groups decide who reaches it, IAM whose token logs in, and the access
 * lists of users what they may do then.
 */
export class ElastiCacheStandIn {
  private readonly parameterGroups = new Map<string, Readonly<Record<string, string>>>();
  private readonly subnetGroups = new Set<string>();
  private readonly groups = new Map<string, RunningGroup>();
  private readonly users: CacheUsers;
  readonly modules: readonly ResourceModule[];

  constructor(private readonly platform: Platform) {
    this.users = new CacheUsers(platform);
    this.modules = [
      { type: 'AWS::ElastiCache::ParameterGroup', start: async (resource) => this.startParameterGroup(resource) },
      { type: 'AWS::ElastiCache::SubnetGroup', start: async (resource) => this.startSubnetGroup(resource) },
      ...this.users.modules,
      { type: 'AWS::ElastiCache::ReplicationGroup', start: (resource) => this.startReplicationGroup(resource) },
    ];
  }

  readonly api: AwsApi = queryApi('elasticache', {
    DescribeReplicationGroups: (parameters, { region }) => {
      const id = parameters.optional('ReplicationGroupId');
      const here = [...this.groups.values()].filter((group) => group.region === region && (!id || group.id === id));
      if (id && here.length === 0) {
        throw new ServiceError('ReplicationGroupNotFoundFault', `ReplicationGroup ${id} not found.`, 404);
      }
      return {
        ReplicationGroups: { ReplicationGroup: here.map((group) => description(group, this.platform.account)) },
      };
    },
  });

  private startParameterGroup(resource: Resource): Running {
    const properties = parseProperties(resource, ParameterGroup);
    for (const name of Object.keys(properties.Properties)) {
      if (!REDIS_DIRECTIVES.has(name) && !INERT_PARAMETERS.has(name)) {
        throw new Error(`Properties.${name}: this parameter is not known to redis-server here`);
      }
    }
    const name = properties.CacheParameterGroupName ?? physicalName(resource).toLowerCase();
    this.parameterGroups.set(`${resource.region}/${name}`, properties.Properties);
    return { ref: name, attributes: { CacheParameterGroupName: name } };
  }

  private startSubnetGroup(resource: Resource): Running {
    const properties = parseProperties(resource, SubnetGroup);
    const name = properties.CacheSubnetGroupName ?? physicalName(resource).toLowerCase();
    this.subnetGroups.add(`${resource.region}/${name}`);
    return { ref: name };
  }

  private async startReplicationGroup(resource: Resource): Promise<Running> {
    const properties = parseProperties(resource, ReplicationGroup, INERT_GROUP_PROPERTIES);
    const id = (properties.ReplicationGroupId ?? physicalName(resource, 40)).toLowerCase();
    const key = `${resource.region}/${id}`;
    if (this.groups.has(key)) throw new Error(`ReplicationGroupId: ${id} exists already in ${resource.region}`);
    const subnetGroup = properties.CacheSubnetGroupName;
    if (subnetGroup && !this.subnetGroups.has(`${resource.region}/${subnetGroup}`)) {
      throw new Error(`CacheSubnetGroupName: there is no subnet group ${subnetGroup} in ${resource.region}`);
    }
    const tls = properties.TransitEncryptionEnabled;
    if (properties.UserGroupIds.length > 0 && !tls) {
      throw new Error('UserGroupIds: a cache with users needs TransitEncryptionEnabled');
    }
    const server = await startRedisServer(this.platform, {
      name: `${id}-${resource.region}`,
      directives: this.directives(resource.region, properties.CacheParameterGroupName),
      users: this.users.inGroup(resource.region, properties.UserGroupIds),
    });
    const place: NetworkInterface = {
      name: `cache ${id}`,
      region: resource.region,
      groups: properties.SecurityGroupIds,
    };
    const files = tls ? await this.platform.authority.issue(`${id}-${resource.region}`) : undefined;
    const way = {
      serverPort: server.port,
      tls: files && { key: readFileSync(files.keyFile), cert: readFileSync(files.certificateFile) },
      passwordFor: properties.UserGroupIds.length > 0 ? this.users.loginTo(id, resource.region, server) : undefined,
    };
    const open = (client: NetworkInterface | undefined, clientName: string): Promise<Gate> => {
      const from = client
        ? ({ kind: 'interface', interface: client } as const)
        : ({ kind: 'internet', name: clientName } as const);
      const to = { kind: 'interface', interface: place } as const;
      return openCacheGate({
        ...way,
        admits: () => this.platform.securityGroups.permits(from, to, properties.Port),
      });
    };
    const door = await openCacheGate({ ...way, admits: () => true });
    const withdraw = this.platform.privateEndpoints.add(door.port, open);
    this.groups.set(key, {
      ...{ id, region: resource.region, tls, server, port: door.port },
      description: properties.ReplicationGroupDescription,
      engine: properties.Engine,
      nodeType: properties.CacheNodeType,
    });
    return {
      ref: id,
      attributes: {
        ReplicationGroupId: id,
        'PrimaryEndPoint.Address': '127.0.0.1',
        'PrimaryEndPoint.Port': String(door.port),
        'ReaderEndPoint.Address': '127.0.0.1',
        'ReaderEndPoint.Port': String(door.port),
      },
      stop: async () => {
        this.groups.delete(key);
        withdraw();
        await door.close();
        await server.stop();
      },
    };
  }

  private directives(region: string, groupName: string | undefined): Record<string, string> {
    // AWS's own groups (`default.*`) leave the engine's defaults.
    if (groupName === undefined || groupName.startsWith('default.')) return {};
    const group = this.parameterGroups.get(`${region}/${groupName}`);
    if (!group) throw new Error(`CacheParameterGroupName: there is no parameter group ${groupName} in ${region}`);
    return Object.fromEntries(Object.entries(group).filter(([name]) => REDIS_DIRECTIVES.has(name)));
  }
}

function description(group: RunningGroup, account: string): object {
  const endpoint = { Address: '127.0.0.1', Port: group.port };
  return {
    ReplicationGroupId: group.id,
    ARN: `arn:aws:elasticache:${group.region}:${account}:replicationgroup:${group.id}`,
    Description: group.description,
    Status: 'available',
    Engine: group.engine,
    CacheNodeType: group.nodeType,
    ClusterEnabled: false,
    TransitEncryptionEnabled: group.tls,
    MemberClusters: { ClusterId: [`${group.id}-001`] },
    NodeGroups: {
      NodeGroup: [
        {
          NodeGroupId: '0001',
          Status: 'available',
          PrimaryEndpoint: endpoint,
          ReaderEndpoint: endpoint,
          NodeGroupMembers: {
            NodeGroupMember: [
              {
                CacheClusterId: `${group.id}-001`,
                CacheNodeId: '0001',
                CurrentRole: 'primary',
                ReadEndpoint: endpoint,
              },
            ],
          },
        },
      ],
    },
  };
}
