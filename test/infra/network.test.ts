import { environmentVariables } from '../../lib/checks/environment-variables';
import { networkFlows } from '../../lib/checks/network-flows';
import { type Case, expectEachCaught, findings, inEdge, synthesized } from './breaking';

const stacks = synthesized('prod', ['us-east-1', 'eu-west-1']);

describe('network-flows', () => {
  const RULE = 'AWS::EC2::SecurityGroupIngress';
  const NAT = /privateSubnet1DefaultRoute/;
  const EDGE_GROUP = /^EdgeSecurityGroup/;
  expectEachCaught(stacks, networkFlows, [
    ['CloudFront shut out', inEdge(RULE, /^EntranceSecurityGroupfrompl/), /CloudFront to the load balancer/],
    [
      "another region's prefix list",
      inEdge(RULE, /^EntranceSecurityGroupfrompl/, 'Properties.SourcePrefixListId', 'pl-3b927c52'),
      /CloudFront to the load balancer/,
    ],
    [
      'another port of the listener',
      inEdge('AWS::ElasticLoadBalancingV2::Listener', /./, 'Properties.Port', 8443),
      /TCP 8443/,
    ],
    [
      'a service on another port',
      inEdge('AWS::ECS::Service', /./, 'Properties.LoadBalancers.0.ContainerPort', 9090),
      /to the tasks.*TCP 9090/,
    ],
    ['tasks shut out of Valkey', inEdge(RULE, /CacheSecurityGroupfromprodedgeeuwest1Edge/), /to Valkey/],
    ['functions shut out of Valkey', inEdge(RULE, /CacheSecurityGroupfromprodedgeeuwest1Control/), /to Valkey/],
    ['Valkey on another port', inEdge('AWS::ElastiCache::ReplicationGroup', /./, 'Properties.Port', 6380), /TCP 6380/],
    [
      'tasks that cannot leave',
      inEdge('AWS::EC2::SecurityGroup', /^EdgeSecurityGroup/, 'Properties.SecurityGroupEgress', [
        { IpProtocol: 'tcp', FromPort: 80, ToPort: 80, CidrIp: '0.0.0.0/0' },
      ]),
      /to AWS and the HTTP origin/,
    ],
    [
      'a rule that nothing needs',
      inEdge('AWS::EC2::SecurityGroup', EDGE_GROUP, 'Properties.SecurityGroupIngress', [
        { IpProtocol: 'tcp', FromPort: 22, ToPort: 22, CidrIp: '0.0.0.0/0' },
      ]),
      /lets tcp 22-22 in .*more than any connection here needs/,
    ],
    [
      'everything let out',
      inEdge('AWS::EC2::SecurityGroup', EDGE_GROUP, 'Properties.SecurityGroupEgress', [
        { IpProtocol: '-1', CidrIp: '0.0.0.0/0' },
      ]),
      /lets everything out/,
    ],
    [
      'everything let out by default',
      inEdge('AWS::EC2::SecurityGroupEgress', /^EntranceSecurityGroup/),
      /lets everything out/,
    ],
    [
      'a range of ports',
      inEdge(RULE, /^CacheSecurityGroupfromprodedgeeuwest1Edge/, 'Properties.ToPort', 6399),
      /lets tcp 6379-6399 in/,
    ],
    [
      'two rules for one connection',
      inEdge('AWS::EC2::SecurityGroup', /^CacheSecurityGroup/, 'Properties.SecurityGroupIngress', [
        {
          IpProtocol: 'tcp',
          FromPort: 6379,
          ToPort: 6379,
          SourceSecurityGroupId: { 'Fn::GetAtt': ['ControlSecurityGroup3AE37C87', 'GroupId'] },
        },
      ]),
      /but every connection is open without it/,
    ],
    [
      'an HTTP origin on a port of its own',
      inEdge('AWS::ECS::TaskDefinition', /./, 'Properties.ContainerDefinitions.0.Environment.12', {
        Name: 'ORIGIN_URL',
        Value: 'http://origin.example.com:8081',
      }),
      /HTTP origin: no security group lets TCP 8081/,
    ],
    ['models that go through NAT', inEdge('AWS::EC2::VPCEndpoint', /./), /through NAT/],
    ['a private subnet without a way out', inEdge('AWS::EC2::Route', NAT), /no default route to a NAT gateway/],
    [
      'a public subnet without a way in',
      inEdge('AWS::EC2::Route', /publicSubnet1DefaultRoute/),
      /no default route to the internet gateway/,
    ],
  ]);

  test('health checks of Route 53 that the load balancer does not let in', async () => {
    const found = await findings(
      networkFlows,
      stacks,
      inEdge('AWS::Route53::HealthCheck', /TaskErrors/, 'Properties.HealthCheckConfig', {
        Type: 'HTTPS',
        FullyQualifiedDomainName: { 'Fn::GetAtt': ['EntranceLoadBalancerF84991F0', 'DNSName'] },
      }),
    );
    expect(found.map(({ problem }) => problem)).toEqual([expect.stringMatching(/^Route 53's health checks/)]);
  });
});

/** Where a variable stands in the list of the task definition. */
function variableIndex(name: string): number {
  const resources = stacks.flatMap(({ template }) => Object.values(template.Resources));
  const task = resources.find(({ Type }) => Type === 'AWS::ECS::TaskDefinition');
  const [container] = (task?.Properties.ContainerDefinitions ?? []) as { Environment: { Name: string }[] }[];
  return container?.Environment.findIndex((variable) => variable.Name === name) ?? -1;
}

describe('environment-variables', () => {
  const variable = (index: number, field: 'Name' | 'Value') =>
    `Properties.ContainerDefinitions.0.Environment.${index}.${field}`;
  const TASK = 'AWS::ECS::TaskDefinition';
  const FUNCTION = 'AWS::Lambda::Function';
  expectEachCaught(stacks, environmentVariables, [
    [
      'a misspelt variable of a task',
      inEdge(TASK, /./, variable(11, 'Name'), 'CHANEL_POLL_SECONDS'),
      /sets CHANEL_POLL_SECONDS/,
    ],
    [
      'a variable that a task needs',
      inEdge(TASK, /./, 'Properties.ContainerDefinitions.0.Environment.3'),
      /does not start: exactly one of MODELS_DIR/,
    ],
    ['a value that a task refuses', inEdge(TASK, /./, variable(0, 'Value'), 'http'), /does not start: PORT/],
    ...[
      'PORT',
      'HOST',
      'DISK_CACHE_DIR',
      'DISK_CACHE_MAX_BYTES',
      'MEMORY_CACHE_MAX_BYTES',
      'DEFAULT_MODEL',
      'CHANNEL_POLL_SECONDS',
      'LOG_LEVEL',
      'CLOUDWATCH_ENVIRONMENT',
    ].map((name): Case => {
      const path = `Properties.ContainerDefinitions.0.Environment.${variableIndex(name)}`;
      return [`${name} left to its default`, inEdge(TASK, /./, path), new RegExp(`leaves ${name} to a default`)];
    }),
    [
      'a misspelt variable of a function',
      inEdge(FUNCTION, /Status/, 'Properties.Environment.Variables.REGON', 'x'),
      /sets REGON, which its code does not read/,
    ],
    [
      'a variable that a function needs',
      inEdge(FUNCTION, /Status/, 'Properties.Environment.Variables.REGION'),
      /does not load: .*REGION/,
    ],
    [
      'a value that a function refuses',
      inEdge(FUNCTION, /Invalidation/, 'Properties.Environment.Variables.REDIS_URL', 'http://x'),
      /does not load: .*REDIS_URL/,
    ],
    [
      'a handler that is not exported',
      inEdge(FUNCTION, /Invalidation/, 'Properties.Handler', 'index.main'),
      /exports no main/,
    ],
    [
      'a file that is not there',
      inEdge(FUNCTION, /Invalidation/, 'Properties.Handler', 'main.handler'),
      /does not load/,
    ],
  ]);
});
