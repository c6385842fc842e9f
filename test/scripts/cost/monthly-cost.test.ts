import prices from '../../../lib/config/prices.json';
import type { Stack } from '../../../local/engine/assembly';
import { Template } from '../../../local/engine/template';
import { amount, monthlyCost } from '../../../scripts/cost/monthly-cost';
import { SynthesizedEnvironment } from '../../support/synthesis';

function stackOf(Resources: Record<string, unknown>, region = 'us-east-1'): Stack {
  return {
    id: 'S',
    stackName: 'stack',
    account: '111122223333',
    region,
    template: Template.parse({ Resources }),
    assets: { directory: () => undefined } as unknown as Stack['assets'],
    dependencies: [],
    systemParameters: new Map(),
  };
}

const costOf = (Type: string, Properties: unknown, region?: string) =>
  monthlyCost([stackOf({ R: { Type, Properties } }, region)]);

test('tasks cost their CPU, memory and the disk beyond 20 GiB, for as many as there are at rest', () => {
  const { total } = monthlyCost([
    stackOf({
      T: {
        Type: 'AWS::ECS::TaskDefinition',
        Properties: { Cpu: '2048', Memory: '8192', EphemeralStorage: { SizeInGiB: 60 } },
      },
      S: { Type: 'AWS::ECS::Service', Properties: { DesiredCount: 3, TaskDefinition: { Ref: 'T' } } },
    }),
  ]);
  expect(total).toBeCloseTo(3 * 730 * (2 * 0.03238 + 8 * 0.00356 + 40 * 0.000111), 6);
});

test.each([
  ['AWS::ElastiCache::ReplicationGroup', { CacheNodeType: 'cache.r7g.large', NumCacheClusters: 2 }, 2 * 730 * 0.1752],
  ['AWS::EC2::NatGateway', {}, 730 * 0.045],
  ['AWS::EC2::EIP', {}, 730 * 0.005],
  [
    'AWS::ElasticLoadBalancingV2::LoadBalancer',
    { Scheme: 'internet-facing', Subnets: ['a', 'b', 'c'] },
    730 * (0.0225 + 3 * 0.005),
  ],
  ['AWS::ElasticLoadBalancingV2::LoadBalancer', { Scheme: 'internal', Subnets: ['a', 'b'] }, 730 * 0.0225],
  ['AWS::CloudWatch::Alarm', { MetricName: 'm' }, 0.1],
  [
    'AWS::CloudWatch::Alarm',
    {
      Metrics: [
        { Id: 'e', Expression: 'a + b' },
        { Id: 'a', MetricStat: {} },
        { Id: 'b', MetricStat: {} },
      ],
    },
    0.2,
  ],
  ['AWS::SecretsManager::Secret', { ReplicaRegions: [{ Region: 'eu-west-1' }] }, 0.8],
  ['AWS::Route53::HealthCheck', { HealthCheckConfig: { Type: 'CALCULATED' } }, 0.5],
  ['AWS::Route53::HealthCheck', { HealthCheckConfig: { Type: 'HTTPS', RequestInterval: 10 } }, 2.5],
  ['AWS::WAFv2::WebACL', { Rules: [{}, {}] }, 7],
  ['AWS::EC2::VPCEndpoint', { VpcEndpointType: 'Gateway' }, 0],
])('%s with %j costs %d USD a month', (type, properties, usd) => {
  const { total, unpriced } = costOf(type, properties);
  expect(total).toBeCloseTo(usd, 6);
  expect(unpriced).toEqual([]);
});

test('what has no price is named and missing from the sum', () => {
  const { total, unpriced } = costOf('AWS::EC2::NatGateway', {}, 'eu-west-3');
  expect(unpriced).toEqual(['NAT gateway in eu-west-3']);
  expect(total).toBe(0);
});

test('a type without a rule is refused, not free', () => {
  expect(() => costOf('AWS::RDS::DBInstance', {})).toThrow('S/R: what a AWS::RDS::DBInstance costs is not known');
});

test('what costs by use is named', () => {
  expect(costOf('AWS::S3::Bucket', {}).byUse).toEqual(['AWS::S3::Bucket']);
});

test('equal costs of a stack are one line, dearest lines first', () => {
  const [stack] = monthlyCost([
    stackOf({ A: { Type: 'AWS::EC2::EIP' }, B: { Type: 'AWS::EC2::EIP' }, C: { Type: 'AWS::EC2::NatGateway' } }),
  ]).stacks;
  expect(stack?.costs.map(({ what, count }) => [what, count])).toEqual([
    ['NAT gateway', 1],
    ['public IPv4 address', 2],
  ]);
  expect(stack?.total).toBeCloseTo(
    (stack?.costs ?? []).map(amount).reduce((a, b) => a + b),
    9,
  );
});

describe.each(['dev', 'staging', 'prod', 'local'])('the templates of %s', (name) => {
  const environment = new SynthesizedEnvironment(name);
  const stacks = environment.ids.map((id) => {
    const { Resources } = environment.template(id).toJSON() as { Resources: Record<string, unknown> };
    return { ...stackOf(Resources, environment.stack(id).region), stackName: id };
  });
  const cost = monthlyCost(stacks);

  test('have a rule for every type of resource', () => {
    expect(cost.total).toBeGreaterThan(50);
  });

  test('lack a price only where the list says so', () => {
    const known = /^(Container Insights of a cluster|additional metrics of a distribution) in /;
    expect(cost.unpriced.filter((what) => !known.test(what))).toEqual([]);
  });

  test('have one hosted zone', () => {
    const zones = cost.stacks.flatMap(({ costs }) => costs.filter(({ what }) => what === 'hosted zone'));
    expect(zones).toEqual([{ what: 'hosted zone', count: 1, each: prices.global.hostedZoneMonth }]);
  });
});
