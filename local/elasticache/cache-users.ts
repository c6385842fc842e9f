import { z } from 'zod';
import type { Platform } from '../engine/platform';
import { parseProperties } from '../engine/properties';
import type { Resource, ResourceModule, Running } from '../engine/types';
import type { PasswordFor } from './login-rewriter';
import { loginAccessKey } from './login-token';
import type { RedisServer, RedisUser } from './redis-server';

const User = z.object({
  UserId: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/),
  UserName: z.string(),
  Engine: z.enum(['valkey', 'redis']),
  AccessString: z.string(),
  AuthenticationMode: z.object({ Type: z.literal('iam', { error: 'only users that log in by IAM are run here' }) }),
});

const UserGroup = z.object({
  UserGroupId: z.string().max(40),
  Engine: z.enum(['valkey', 'redis']),
  UserIds: z.array(z.string()).min(1),
});

/** The users of ElastiCache and their groups: who may log in to a cache, and with which access list. */
export class CacheUsers {
  private readonly byId = new Map<string, RedisUser>();
  private readonly groups = new Map<string, readonly RedisUser[]>();

  constructor(private readonly platform: Platform) {}

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::ElastiCache::User', start: async (resource) => this.startUser(resource) },
    { type: 'AWS::ElastiCache::UserGroup', start: async (resource) => this.startUserGroup(resource) },
  ];

  private startUser(resource: Resource): Running {
    const { UserId, UserName, AccessString } = parseProperties(resource, User);
    if (UserId !== UserName) throw new Error(`UserName: ${UserName} must be UserId (${UserId}) with IAM`);
    this.byId.set(`${resource.region}/${UserId}`, { name: UserName, access: AccessString.split(/\s+/) });
    const arn = `arn:aws:elasticache:${resource.region}:${resource.account}:user:${UserId}`;
    return { ref: UserId, attributes: { Arn: arn, Status: 'active' } };
  }

  private startUserGroup(resource: Resource): Running {
    const { UserGroupId, UserIds } = parseProperties(resource, UserGroup);
    const users = UserIds.map((id) => {
      const user = this.byId.get(`${resource.region}/${id}`);
      if (!user) throw new Error(`UserIds: there is no user ${id} in ${resource.region}`);
      return user;
    });
    this.groups.set(`${resource.region}/${UserGroupId}`, users);
    const arn = `arn:aws:elasticache:${resource.region}:${resource.account}:usergroup:${UserGroupId}`;
    return { ref: UserGroupId, attributes: { Arn: arn, Status: 'active' } };
  }

  /**
   * The users of a cache with these `UserGroupIds`; `undefined` when it asks for no login.
   *
   * @throws when the region has no such group.
   */
  inGroup(region: string, [groupId]: readonly string[]): readonly RedisUser[] | undefined {
    if (groupId === undefined) return undefined;
    const users = this.groups.get(`${region}/${groupId}`);
    if (!users) throw new Error(`UserGroupIds: there is no user group ${groupId} in ${region}`);
    return users;
  }

  /** Judges logins: the token's signer must be allowed to connect to this cache as this user. */
  loginTo(cacheName: string, region: string, server: RedisServer): PasswordFor {
    const { iam, account } = this.platform;
    const arn = (kind: string, id: string) => `arn:aws:elasticache:${region}:${account}:${kind}:${id}`;
    return (userId, token) => {
      const accessKeyId = loginAccessKey(token, { cacheName, userId, region, now: new Date() });
      const caller = accessKeyId === undefined ? undefined : iam.callerOf(accessKeyId);
      const resources = [arn('replicationgroup', cacheName), arn('user', userId)];
      const mayConnect =
        caller &&
        resources.every((resource) => !iam.refusal(caller.principal, { action: 'elasticache:Connect', resource }));
      return mayConnect ? server.password : undefined;
    };
  }
}
