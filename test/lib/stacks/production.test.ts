import { Match, type Template } from 'aws-cdk-lib/assertions';
import { loadConfig } from '../../../lib/config';
import { SynthesizedEnvironment } from '../../support/synthesis';

const prod = new SynthesizedEnvironment('prod');
const REGIONS = loadConfig('prod').regions.map(({ region }) => region);

interface ServiceProperties {
  readonly DesiredCount: number;
  readonly TaskDefinition: { readonly Ref: string };
  readonly LoadBalancers: unknown;
  readonly NetworkConfiguration: unknown;
  readonly DeploymentConfiguration: { readonly Alarms: { readonly AlarmNames: readonly unknown[] } };
}

function resources(template: Template, type: string): Record<string, unknown>[] {
  return Object.values(template.findResources(type)).map(({ Properties }) => Properties as Record<string, unknown>);
}

describe.each(REGIONS)('the edge of prod in %s', (region) => {
  const template = prod.template(`edge-${region}`);
  const row = loadConfig('prod').regions.find((each) => each.region === region);
  const service = (name: string): ServiceProperties => {
    const [found] = resources(template, 'AWS::ECS::Service').filter(({ ServiceName }) => ServiceName === name);
    return found as unknown as ServiceProperties;
  };

  test('runs its container without privileges', () => {
    template.hasResourceProperties('AWS::ECS::TaskDefinition', {
      RuntimePlatform: { CpuArchitecture: 'ARM64', OperatingSystemFamily: 'LINUX' },
      ContainerDefinitions: [
        Match.objectLike({
          User: '1000:1000',
          ReadonlyRootFilesystem: true,
          LinuxParameters: Match.objectLike({ Capabilities: { Drop: ['ALL'] } }),
        }),
      ],
    });
  });

  test('takes a deployment back when its own alarms fire', () => {
    // Others move traffic or tell the operators.
    const isOfDeployments = ({ Properties }: Record<string, unknown>) =>
      ['More than 1 % of the answers are 5xx', 'One in a hundred answers takes longer than 2 s'].some((meaning) =>
        String((Properties as Record<string, unknown>).AlarmDescription).startsWith(meaning),
      );
    const alarms = Object.entries(template.findResources('AWS::CloudWatch::Alarm'))
      .filter(([, alarm]) => isOfDeployments(alarm))
      .map(([id]) => ({ Ref: id }));
    expect(service('mlcdn-prod-edge').DeploymentConfiguration).toMatchObject({
      Alarms: { Enable: true, Rollback: true, AlarmNames: expect.arrayContaining(alarms) },
      DeploymentCircuitBreaker: { Enable: true, Rollback: true },
    });
    expect(alarms).toHaveLength(2);
  });

  test('tries a new version on one task before the others, which is judged by the region and by its own errors', () => {
    const [canaryId] = Object.keys(
      template.findResources('AWS::ECS::Service', { Properties: { ServiceName: 'mlcdn-prod-edge-canary' } }),
    );
    const [others] = Object.values(
      template.findResources('AWS::ECS::Service', { Properties: { ServiceName: 'mlcdn-prod-edge' } }),
    );
    expect(others?.DependsOn).toContain(canaryId);
    const canary = service('mlcdn-prod-edge-canary');
    const alarmsOf = ({ DeploymentConfiguration: { Alarms } }: ServiceProperties) => Alarms.AlarmNames;
    expect(canary.DeploymentConfiguration).toMatchObject({ Alarms: { Enable: true, Rollback: true } });
    const [own] = Object.entries(
      template.findResources('AWS::CloudWatch::Alarm', {
        Properties: { AlarmDescription: Match.stringLikeRegexp("the canary's answers") },
      }),
    );
    const [ownId, { Properties: ownAlarm } = { Properties: undefined }] = own ?? [];
    expect(alarmsOf(canary)).toEqual([...alarmsOf(service('mlcdn-prod-edge')), { Ref: ownId }]);
    expect(ownAlarm?.Metrics).toContainEqual(
      expect.objectContaining({
        MetricStat: expect.objectContaining({
          Metric: {
            Namespace: 'mlcdn',
            MetricName: 'ServerErrors',
            Dimensions: [
              { Name: 'Deployment', Value: 'canary' },
              { Name: 'Environment', Value: 'prod' },
              { Name: 'Region', Value: region },
            ],
          },
        }),
      }),
    );
  });

  test('the canary is one of the tasks: in the same group of targets, as the same role, of the same image', () => {
    const canary = service('mlcdn-prod-edge-canary');
    const others = service('mlcdn-prod-edge');
    expect(canary.DesiredCount).toBe(1);
    expect(1 + others.DesiredCount).toBe(row?.edge.desiredCount);
    expect(canary.LoadBalancers).toEqual(others.LoadBalancers);
    expect(canary.NetworkConfiguration).toEqual(others.NetworkConfiguration);
    template.resourceCountIs('AWS::ElasticLoadBalancingV2::TargetGroup', 1);
    const task = ({ TaskDefinition }: ServiceProperties) => {
      const found = template.findResources('AWS::ECS::TaskDefinition')[TaskDefinition.Ref];
      const { Family, ContainerDefinitions, ...rest } = found?.Properties ?? {};
      const [container] = (ContainerDefinitions ?? []) as {
        readonly Environment: readonly { readonly Name: string }[];
      }[];
      const variables = container?.Environment ?? [];
      return { rest, container: { ...container, Environment: [] }, variables };
    };
    expect(task(canary).rest).toEqual(task(others).rest);
    expect(task(canary).container).toEqual(task(others).container);
    const more = task(canary).variables.filter(
      ({ Name }) => !task(others).variables.some((variable) => variable.Name === Name),
    );
    expect(more).toEqual([{ Name: 'CLOUDWATCH_DEPLOYMENT', Value: 'canary' }]);
  });

  test('scales with CPU, with the requests of a task and with the load that tasks report', () => {
    const tracked = resources(template, 'AWS::ApplicationAutoScaling::ScalingPolicy').map(
      ({ TargetTrackingScalingPolicyConfiguration: tracking }) => tracking as Record<string, Record<string, unknown>>,
    );
    const predefined = tracked.flatMap(
      ({ PredefinedMetricSpecification: metric }) => metric?.PredefinedMetricType ?? [],
    );
    expect(predefined.toSorted()).toEqual(['ALBRequestCountPerTarget', 'ECSServiceAverageCPUUtilization']);
    const custom = tracked.filter(({ CustomizedMetricSpecification: metric }) => metric);
    expect(custom).toEqual([
      expect.objectContaining({
        CustomizedMetricSpecification: {
          Namespace: 'mlcdn',
          MetricName: 'Load',
          Statistic: 'Average',
          Dimensions: [
            { Name: 'Environment', Value: 'prod' },
            { Name: 'Region', Value: region },
          ],
        },
        TargetValue: 0.6,
      }),
    ]);
  });

  test('the canary and the tasks that scale are together as many as the region may have', () => {
    const [target] = resources(template, 'AWS::ApplicationAutoScaling::ScalableTarget');
    expect([target?.MinCapacity, target?.MaxCapacity]).toEqual([
      (row?.edge.desiredCount ?? 0) - 1,
      (row?.edge.maxCount ?? 0) - 1,
    ]);
  });

  test('lets in the addresses of CloudFront alone, by a group that has no other rule', () => {
    const rules = resources(template, 'AWS::EC2::SecurityGroupIngress').concat(
      resources(template, 'AWS::EC2::SecurityGroup').flatMap(
        ({ SecurityGroupIngress: inline }) => (inline as Record<string, unknown>[]) ?? [],
      ),
    );
    expect(rules.filter(({ CidrIp, CidrIpv6 }) => CidrIp ?? CidrIpv6)).toEqual([]);
    expect(rules.filter(({ SourcePrefixListId }) => SourcePrefixListId)).toHaveLength(1);
  });

  test('spans three zones, each with its own way out', () => {
    expect(resources(template, 'AWS::EC2::NatGateway')).toHaveLength(3);
  });

  test('is protected and tagged for the bill', () => {
    expect(prod.stack(`edge-${region}`).terminationProtection).toBe(true);
    template.hasResourceProperties('AWS::ECS::Service', {
      Tags: Match.arrayWith([{ Key: 'mlcdn:environment', Value: 'prod' }]),
    });
  });
});

describe('the global part of prod', () => {
  const template = prod.template('global');

  test('has a firewall that lets inference bodies pass and slows down single addresses', () => {
    const [webAcl] = resources(template, 'AWS::WAFv2::WebACL');
    const rules = JSON.stringify(webAcl?.Rules);
    expect(webAcl?.Scope).toBe('CLOUDFRONT');
    expect(rules).toContain('{"ActionToUse":{"Count":{}},"Name":"SizeRestrictions_BODY"}');
    expect(rules).toContain('"RateBasedStatement":{"AggregateKeyType":"IP","Limit":100000}');
    template.hasResourceProperties('AWS::CloudFront::Distribution', {
      DistributionConfig: Match.objectLike({
        HttpVersion: 'http2and3',
        WebACLId: { 'Fn::GetAtt': [Match.stringLikeRegexp('^EdgeFirewall|^Firewall'), 'Arn'] },
        ViewerCertificate: Match.objectLike({ MinimumProtocolVersion: 'TLSv1.2_2021' }),
      }),
    });
  });

  test('logs what the firewall blocks, to a group named as WAF asks and without the wildcard it refuses', () => {
    template.hasResourceProperties('AWS::WAFv2::LoggingConfiguration', {
      LogDestinationConfigs: ['arn:aws:logs:us-east-1:777788889999:log-group:aws-waf-logs-mlcdn-prod'],
    });
  });

  test('delivers access logs and mails before the budget is spent', () => {
    template.resourceCountIs('AWS::Logs::Delivery', 1);
    template.hasResourceProperties('AWS::Budgets::Budget', {
      Budget: Match.objectLike({ CostFilters: { TagKeyValue: ['user:mlcdn:environment$prod'] } }),
    });
  });
});

test('Spot runs every task but the first where an environment says so', () => {
  const template = new SynthesizedEnvironment('dev').template('edge-us-east-1');
  template.hasResourceProperties('AWS::ECS::Service', {
    CapacityProviderStrategy: [
      { CapacityProvider: 'FARGATE', Base: 1, Weight: 0 },
      { CapacityProvider: 'FARGATE_SPOT', Weight: 100 },
    ],
  });
});
