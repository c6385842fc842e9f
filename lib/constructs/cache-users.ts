import { CfnUser, CfnUserGroup } from 'aws-cdk-lib/aws-elasticache';
import { Construct } from 'constructs';
import { type CacheUserRole, cacheUserGroupId, cacheUserId, type NamingScope } from '../core/resource-names';

/**
 * What each role may do in Valkey, in the language of access lists. Edge tasks read and write entries, leases and the
 * control log; the control functions know the control log alone. Nobody may do what is dangerous, such as FLUSHALL or
 * CONFIG, but tasks read INFO.
 */
const ACCESS: Readonly<Record<CacheUserRole, string>> = {
  edge: 'on ~mlcdn:* ~{mlcdn}:* &{mlcdn}:* -@all +@connection +@read +@write +@pubsub +@scripting +@transaction +time -@dangerous +info',
  control:
    'on ~{mlcdn}:control:* &{mlcdn}:control:* -@all +@connection +@read +@write +@pubsub +@scripting +time -@dangerous',
};

const ROLES: readonly CacheUserRole[] = ['edge', 'control'];

/** Who may log in to a region's Valkey: one user a role, by IAM; a token lives 15 minutes and no password exists. */
export class CacheUsers extends Construct {
  readonly groupId: string;

  constructor(scope: Construct, id: string, naming: NamingScope) {
    super(scope, id);
    const users = ROLES.map((role) => {
      const userId = cacheUserId(naming, role);
      return new CfnUser(this, `User-${role}`, {
        userId,
        // With IAM, ElastiCache wants id and name to be the same.
        userName: userId,
        engine: 'valkey',
        accessString: ACCESS[role],
        authenticationMode: { Type: 'iam' },
      });
    });
    const group = new CfnUserGroup(this, 'Group', {
      userGroupId: cacheUserGroupId(naming),
      engine: 'valkey',
      userIds: users.map((user) => user.ref),
    });
    this.groupId = group.ref;
  }
}
