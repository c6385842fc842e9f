import { existingNames } from '../../lib/checks/existing-names';
import { limits } from '../../lib/checks/limits';
import { replication } from '../../lib/checks/replication';
import { retention } from '../../lib/checks/retention';
import { securityGroupWeight } from '../../lib/checks/security-group-weight';
import { stackOrder } from '../../lib/checks/stack-order';
import { expectEachCaught, type Fault, findings, synthesized } from './breaking';

const stacks = synthesized('prod', ['us-east-1', 'eu-west-1']);

const edge = (type: string, path: string, to: unknown, named?: RegExp): Fault => ({
  stack: 'edge-eu-west-1',
  type,
  path,
  to,
  ...(named ? { named } : {}),
});
const CACHE = 'AWS::ElastiCache::ReplicationGroup';
const TASK = 'AWS::ECS::TaskDefinition';
const BUCKET = 'AWS::S3::Bucket';

describe('existing-names', () => {
  expectEachCaught(stacks, existingNames, [
    ['a node type that is none', edge(CACHE, 'Properties.CacheNodeType', 'cache.r9z.large'), /cache\.r9z\.large/],
    ['a size that the family lacks', edge(CACHE, 'Properties.CacheNodeType', 'cache.t4g.large'), /cache\.t4g\.large/],
    ['a version of Valkey that is none', edge(CACHE, 'Properties.EngineVersion', '8.7'), /Valkey version 8\.7/],
    ['another engine', edge(CACHE, 'Properties.Engine', 'keydb'), /engine keydb/],
    [
      'a parameter group of another major version',
      edge('AWS::ElastiCache::ParameterGroup', 'Properties.CacheParameterGroupFamily', 'valkey7'),
      /family valkey7.*8\.1/,
    ],
    ['failover without a replica', edge(CACHE, 'Properties.NumCacheClusters', 1), /single node/],
    ['users without TLS', edge(CACHE, 'Properties.TransitEncryptionEnabled', false), /without TLS/],
    [
      'zones that a look-up without credentials made up',
      edge('AWS::EC2::Subnet', 'Properties.AvailabilityZone', 'dummy1a'),
      /zone dummy1a is not in eu-west-1/,
    ],
    [
      'a user by another name',
      edge('AWS::ElastiCache::User', 'Properties.UserName', 'edge'),
      /logs in by IAM is named edge/,
    ],
    ['a pair of CPU and memory', edge(TASK, 'Properties.Memory', '1024'), /1024 MiB with 2048/],
    ['a CPU size', edge(TASK, 'Properties.Cpu', '1536'), /1536 CPU units/],
    ['too much storage', edge(TASK, 'Properties.EphemeralStorage.SizeInGiB', 400), /400 GiB/],
    ['a network mode', edge(TASK, 'Properties.NetworkMode', 'bridge'), /network mode bridge/],
    ['a runtime that has ended', edge('AWS::Lambda::Function', 'Properties.Runtime', 'nodejs16.x'), /nodejs16\.x/],
    ['an architecture', edge('AWS::Lambda::Function', 'Properties.Architectures', ['armv7']), /armv7/],
    [
      'a TLS policy',
      edge('AWS::ElasticLoadBalancingV2::Listener', 'Properties.SslPolicy', 'TLS13'),
      /TLS policy TLS13/,
    ],
    ['a retention', edge('AWS::Logs::LogGroup', 'Properties.RetentionInDays', 8), /retention of 8/],
    [
      'the runtime of a CloudFront Function',
      {
        stack: 'global',
        type: 'AWS::CloudFront::Function',
        path: 'Properties.FunctionConfig.Runtime',
        to: 'cloudfront-js-3.0',
      },
      /cloudfront-js-3\.0/,
    ],
    [
      'a managed cache policy',
      {
        stack: 'global',
        type: 'AWS::CloudFront::Distribution',
        path: 'Properties.DistributionConfig.CacheBehaviors.1.CachePolicyId',
        to: '4135ea2d-6df8-44a3-9df3-4b5a84be39ae',
      },
      /cache policy 4135/,
    ],
    [
      'a managed rule group',
      {
        stack: 'global',
        type: 'AWS::WAFv2::WebACL',
        path: 'Properties.Rules.2.Statement.ManagedRuleGroupStatement.Name',
        to: 'AWSManagedRulesCommonRules',
      },
      /rule group AWSManagedRulesCommonRules/,
    ],
  ]);
});

/** A dashboard whose widgets have so many metrics. */
function dashboardOf(...counts: readonly number[]): string {
  const metrics = (count: number) => Array.from({ length: count }, (_, index) => ['mlcdn', `Metric${index}`]);
  return JSON.stringify({ widgets: counts.map((count) => ({ properties: { metrics: metrics(count) } })) });
}

describe('limits', () => {
  expectEachCaught(stacks, limits, [
    ['a long replication group id', edge(CACHE, 'Properties.ReplicationGroupId', 'm'.repeat(41)), /41 characters/],
    ['an id with two hyphens', edge(CACHE, 'Properties.ReplicationGroupId', 'mlcdn--prod'), /is mlcdn--prod/],
    ['a long function name', edge('AWS::Lambda::Function', 'Properties.FunctionName', 'f'.repeat(65)), /65 characters/],
    ['a bucket name in capitals', edge(BUCKET, 'Properties.BucketName', 'Logs'), /is Logs/],
    [
      'a long bucket prefix',
      { stack: 'models-eu-west-1', type: BUCKET, path: 'Properties.BucketNamePrefix', to: 'm'.repeat(45) },
      /its name has \d\d characters/,
    ],
    ['a description of a group', edge('AWS::EC2::SecurityGroup', 'Properties.GroupDescription', 'a > b'), /a > b/],
    [
      'many variables',
      edge('AWS::Lambda::Function', 'Properties.Environment.Variables.MORE', 'x'.repeat(4096)),
      /bytes of environment/,
    ],
    [
      'a large policy',
      edge('AWS::IAM::Policy', 'Properties.PolicyDocument.Id', 'x'.repeat(10_240)),
      /its policies have/,
    ],
    [
      'a dashboard that is none',
      edge('AWS::CloudWatch::Dashboard', 'Properties.DashboardBody', '{}'),
      /no list of widgets/,
    ],
    [
      'a dashboard that is no JSON',
      edge('AWS::CloudWatch::Dashboard', 'Properties.DashboardBody', 'widgets'),
      /no list of widgets/,
    ],
    [
      'a crowded widget',
      edge('AWS::CloudWatch::Dashboard', 'Properties.DashboardBody', dashboardOf(501)),
      /a widget with 501 metrics/,
    ],
    [
      'a crowded dashboard',
      edge('AWS::CloudWatch::Dashboard', 'Properties.DashboardBody', dashboardOf(500, 500, 500, 500, 500, 1)),
      /^2501 metrics/,
    ],
  ]);

  test('more resources than a stack may have', async () => {
    const many = stacks.map((stack) => ({ ...stack, template: structuredClone(stack.template) }));
    const [first] = many;
    if (!first) throw new Error('no stack');
    for (let index = 0; index < 500; index++) {
      first.template.Resources[`Extra${index}`] = { Type: 'AWS::SQS::Queue', Properties: {}, DependsOn: [] };
    }
    const found = await findings(limits, many);
    expect(found).toContainEqual(expect.objectContaining({ stack: first.stackName, right: 'at most 500' }));
  });
});

const ROTATION = 'AWS::SecretsManager::RotationSchedule';

describe('stack-order', () => {
  expectEachCaught(stacks, stackOrder, [
    [
      'a reference to a resource that is gone',
      { stack: 'edge-eu-west-1', type: 'AWS::ElastiCache::SubnetGroup' },
      /refers to what is not there: .*CacheSubnets/,
    ],
    [
      'resources that wait for each other',
      edge('AWS::ElastiCache::SubnetGroup', 'Properties.Description', { Ref: 'CacheValkey8BCB8589' }),
      /wait for each other/,
    ],
    ['DependsOn without a target', edge(CACHE, 'DependsOn', ['Nothing']), /depends on Nothing/],
    [
      'a value of another stack',
      edge(CACHE, 'Properties.ReplicationGroupDescription', { 'Fn::ImportValue': 'mlcdn-prod-global:Name' }),
      /takes the export mlcdn-prod-global:Name/,
    ],
    [
      'a weak reference',
      edge(CACHE, 'Properties.ReplicationGroupDescription', {
        'Fn::GetStackOutput': { StackName: 'mlcdn-prod-global', OutputName: 'DistributionId', Region: 'us-east-1' },
      }),
      /takes the output DistributionId of mlcdn-prod-global/,
    ],
    [
      'a secret without a replica',
      { stack: 'keys', type: 'AWS::SecretsManager::Secret', path: 'Properties.ReplicaRegions', to: [] },
      /reads the secret .* in eu-west-1/,
    ],
    [
      'a secret by another name',
      { stack: 'keys', type: 'AWS::SecretsManager::Secret', path: 'Properties.Name', to: 'mlcdn-prod-key' },
      /which no stack makes/,
    ],
    [
      'a rotation of a secret that no stack makes',
      { stack: 'global', type: ROTATION, path: 'Properties.SecretId', to: 'mlcdn-prod-key' },
      /rotates the secret mlcdn-prod-key, which no stack makes/,
    ],
    [
      'a rotation in the middle of a deployment',
      { stack: 'global', type: ROTATION, path: 'Properties.RotateImmediatelyOnUpdate', to: undefined },
      /rotates in the middle of a deployment/,
    ],
    [
      'a load balancer by another name than the rotation looks for',
      edge('AWS::ElasticLoadBalancingV2::LoadBalancer', 'Properties.Name', 'mlcdn-prod-entrance'),
      /names mlcdn-prod-edge in eu-west-1, which no stack makes/,
    ],
    [
      'a bucket that no stack makes',
      { stack: 'models-eu-west-1', type: BUCKET, path: 'Properties.BucketNamePrefix', to: 'mlcdn-prod-artifacts' },
      /names mlcdn-prod-models-.* which no stack makes/,
    ],
  ]);

  test.each([
    ['the home bucket before its replicas', 'modelsuseast1', /may be deployed before/, replication],
    ['an edge before keys and models', 'edgeeuwest1', /may be deployed before/, stackOrder],
    ['a rotation before its secret', 'global', /may be deployed before the secret/, stackOrder],
  ])('deploys %s', async (_, id, says, check) => {
    const unordered = stacks.map((stack) => (stack.id.includes(id) ? { ...stack, dependencies: [] } : stack));
    const found = await findings(check, unordered);
    expect(found.map(({ problem }) => problem)).toContainEqual(expect.stringMatching(says));
  });

  test('stacks that wait for each other', async () => {
    const keys = stacks.find(({ id }) => id.includes('keys'));
    const edgeStack = stacks.find(({ id }) => id.includes('edgeeuwest1'));
    const circular = stacks.map((stack) =>
      stack === keys ? { ...stack, dependencies: [edgeStack?.id ?? ''] } : stack,
    );
    const found = await findings(stackOrder, circular);
    expect(found.map(({ problem }) => problem)).toContainEqual(expect.stringMatching(/^stacks wait for each other/));
  });
});

describe('replication', () => {
  const home = (path: string, to: unknown): Fault => ({ stack: 'models-us-east-1', type: BUCKET, path, to });
  const RULE = 'Properties.ReplicationConfiguration.Rules.0';
  expectEachCaught(stacks, replication, [
    ['a source without versions', home('Properties.VersioningConfiguration', undefined), /without versions/],
    [
      'a destination without versions',
      { stack: 'models-eu-west-1', type: BUCKET, path: 'Properties.VersioningConfiguration.Status', to: 'Suspended' },
      /keeps no versions/,
    ],
    [
      'a destination that is none',
      home(`${RULE}.Destination.Bucket`, 'arn:aws:s3:::elsewhere'),
      /elsewhere, which no stack/,
    ],
    ['a rule without filter', home(`${RULE}.Filter`, undefined), /without Filter/],
    [
      'rules of one priority',
      home('Properties.ReplicationConfiguration.Rules', [
        { Priority: 1, Filter: {} },
        { Priority: 1, Filter: {} },
      ]),
      /share a priority: 1, 1/,
    ],
  ]);
});

describe('retention', () => {
  expectEachCaught(stacks, retention, [
    ['a log without end', edge('AWS::Logs::LogGroup', 'Properties.RetentionInDays', undefined), /for ever/],
    [
      'a function with its own log group',
      edge('AWS::Lambda::Function', 'Properties.LoggingConfig', undefined),
      /log group/,
    ],
    [
      'a bucket that goes with its stack',
      { stack: 'models-eu-west-1', type: BUCKET, path: 'DeletionPolicy', to: 'Delete' },
      /DeletionPolicy Delete/,
    ],
    ['a queue that stays', edge('AWS::SQS::Queue', 'DeletionPolicy', 'Retain'), /outlives its stack/],
  ]);

  test('in an environment that is torn down, everything goes', async () => {
    const dev = synthesized('dev', ['us-east-1']);
    expect(await findings(retention, dev)).toEqual([]);
    const faults = [
      { stack: 'edge-us-east-1', type: 'AWS::KMS::Key', path: 'DeletionPolicy', to: 'Retain' },
      { stack: 'models-us-east-1', type: BUCKET, path: 'DeletionPolicy', to: 'Retain' },
    ];
    const found = await findings(retention, dev, ...faults);
    expect(found.map(({ problem }) => problem)).toEqual([
      expect.stringMatching(/in one that is torn down/),
      expect.stringMatching(/stays, and costs/),
    ]);
  });
});

describe('security-group-weight', () => {
  expectEachCaught(stacks, securityGroupWeight, [
    [
      'two prefix lists in one group',
      edge('AWS::EC2::SecurityGroup', 'Properties.SecurityGroupIngress', [
        { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, SourcePrefixListId: 'pl-4fa04526' },
        { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, SourcePrefixListId: 'pl-0123456789abcdef0' },
      ]),
      /weigh 82/,
    ],
    [
      'too many groups',
      edge('AWS::ElasticLoadBalancingV2::LoadBalancer', 'Properties.SecurityGroups', ['a', 'b', 'c', 'd', 'e', 'f']),
      /more security groups/,
    ],
  ]);
});
