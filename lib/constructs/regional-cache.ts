import { ArnFormat, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { type Connections, type IConnectable, type IVpc, Port, SecurityGroup, SubnetType } from 'aws-cdk-lib/aws-ec2';
import { CfnParameterGroup, CfnReplicationGroup, CfnSubnetGroup } from 'aws-cdk-lib/aws-elasticache';
import { type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { type CacheUserRole, cacheUserId, type NamingScope, replicationGroupId } from '../core/resource-names';
import { CacheUsers } from './cache-users';

const VALKEY_PORT = 6379;

export interface RegionalCacheProps {
  readonly vpc: IVpc;
  readonly naming: NamingScope;
  readonly nodeType: string;
  /** Read replicas beside the primary. */
  readonly replicas: number;
  readonly logRetentionDays: RetentionDays;
}

/**
 * A region's shared cache (tier `l1`) and control log: Valkey, not clustered, encrypted in transit and at rest, evicting
 * the least frequently used keys, entered by IAM alone. It holds nothing that cannot be computed again.
 */
export class RegionalCache extends Construct implements IConnectable {
  readonly connections: Connections;
  /** `rediss://` URL of the primary. */
  private readonly url: string;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: RegionalCacheProps,
  ) {
    super(scope, id);
    const securityGroup = new SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'Valkey: edge tasks and control functions only',
      allowAllOutbound: false,
    });
    this.connections = securityGroup.connections;

    const subnets = new CfnSubnetGroup(this, 'Subnets', {
      description: 'Isolated subnets of the edge region',
      subnetIds: props.vpc.selectSubnets({ subnetType: SubnetType.PRIVATE_ISOLATED }).subnetIds,
    });
    const parameters = new CfnParameterGroup(this, 'Parameters', {
      description: 'Evict entries by frequency instead of refusing writes; the control log has no expiry and stays',
      cacheParameterGroupFamily: 'valkey8',
      properties: { 'maxmemory-policy': 'volatile-lfu' },
    });
    const slowLog = new LogGroup(this, 'SlowLog', {
      retention: props.logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const users = new CacheUsers(this, 'Users', props.naming);
    const group = new CfnReplicationGroup(this, 'Valkey', {
      replicationGroupId: replicationGroupId(props.naming),
      replicationGroupDescription: 'Regional cache tier and control log',
      engine: 'valkey',
      engineVersion: '8.1',
      cacheNodeType: props.nodeType,
      numCacheClusters: 1 + props.replicas,
      automaticFailoverEnabled: props.replicas > 0,
      multiAzEnabled: props.replicas > 0,
      clusterMode: 'disabled',
      port: VALKEY_PORT,
      transitEncryptionEnabled: true,
      transitEncryptionMode: 'required',
      atRestEncryptionEnabled: true,
      autoMinorVersionUpgrade: true,
      snapshotRetentionLimit: 0,
      cacheSubnetGroupName: subnets.ref,
      cacheParameterGroupName: parameters.ref,
      securityGroupIds: [securityGroup.securityGroupId],
      userGroupIds: [users.groupId],
      logDeliveryConfigurations: [
        {
          logType: 'slow-log',
          logFormat: 'json',
          destinationType: 'cloudwatch-logs',
          destinationDetails: { cloudWatchLogsDetails: { logGroup: slowLog.logGroupName } },
        },
      ],
    });
    this.url = `rediss://${group.attrPrimaryEndPointAddress}:${group.attrPrimaryEndPointPort}`;

    Validations.of(group).acknowledge(
      {
        id: 'AwsSolutions-AEC5',
        reason:
          'The security group admits only the edge tasks and two functions; an unusual port would hide nothing from them.',
      },
      {
        id: 'AwsSolutions-AEC6',
        reason:
          'Users of a user group log in by IAM, each with its own access list; a token that all share would be weaker.',
      },
    );
    if (props.replicas === 0) {
      Validations.of(group).acknowledge({
        id: 'AwsSolutions-AEC4',
        reason: 'A cost choice of this environment: a lost node is a cold cache, and every tier that fails is a miss.',
      });
    }
  }

  /** Lets `peer` connect. The rule's both sides live with the caches, so that the peers need not know of it. */
  allowFrom(peer: IConnectable, description: string): void {
    this.connections.allowFrom(peer, Port.tcp(VALKEY_PORT), description);
  }

  /** Variables with which a program logs in as `role`. */
  environment(role: CacheUserRole): Record<'REDIS_URL' | 'REDIS_IAM_USER' | 'REDIS_IAM_CACHE_NAME', string> {
    const { naming } = this.props;
    return {
      REDIS_URL: this.url,
      REDIS_IAM_USER: cacheUserId(naming, role),
      REDIS_IAM_CACHE_NAME: replicationGroupId(naming),
    };
  }

  /** Lets `grantee` log in as `role`, to this cache and as nobody else. */
  grantConnect(grantee: IGrantable, role: CacheUserRole): void {
    const { naming } = this.props;
    const arn = (resource: string, resourceName: string) =>
      Stack.of(this).formatArn({
        service: 'elasticache',
        resource,
        resourceName,
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      });
    const resources = [arn('replicationgroup', replicationGroupId(naming)), arn('user', cacheUserId(naming, role))];
    grantee.grantPrincipal.addToPrincipalPolicy(new PolicyStatement({ actions: ['elasticache:Connect'], resources }));
  }
}
