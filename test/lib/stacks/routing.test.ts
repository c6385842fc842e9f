import { Match, type Template } from 'aws-cdk-lib/assertions';
import { parseConfig } from '../../../lib/config';
import { prod } from '../../../lib/config/prod';
import { VIEWER_PLACE_HEADERS } from '../../../lib/constructs/request-policies';
import { prodWithRoute53Checkers } from '../../support/shared-assemblies';
import { SynthesizedEnvironment } from '../../support/synthesis';

const REGIONS = ['us-east-1', 'eu-west-1', 'ap-northeast-1'] as const;
/** Id of the managed cache policy that caches nothing. */
const CACHING_DISABLED = '4135ea2d-6df8-44a3-9df3-4b5a84be39ad';

const environment = new SynthesizedEnvironment('prod');

interface Check {
  readonly HealthCheckConfig: {
    readonly Type: string;
    readonly ChildHealthChecks?: readonly { readonly 'Fn::GetAtt': readonly [string, string] }[];
    readonly HealthThreshold?: number;
    readonly AlarmIdentifier?: { readonly Name: { readonly Ref: string }; readonly Region: string };
  };
}

function healthChecks(template: Template): Map<string, Check['HealthCheckConfig']> {
  const found = Object.entries(template.findResources('AWS::Route53::HealthCheck'));
  return new Map(found.map(([id, { Properties }]) => [id, (Properties as Check).HealthCheckConfig]));
}

describe.each(REGIONS)('the health of %s', (region) => {
  const template = environment.template(`edge-${region}`);
  const checks = healthChecks(template);
  const [calculatedId, calculated] = [...checks].find(([, { Type }]) => Type === 'CALCULATED') ?? [];

  test('is calculated from every other check; all must be well', () => {
    const children = calculated?.ChildHealthChecks?.map((child) => child['Fn::GetAtt'][0]) ?? [];
    expect([...children].sort()).toEqual([...checks.keys()].filter((id) => id !== calculatedId).sort());
    expect(calculated?.HealthThreshold).toBe(children.length);
  });

  test('hears of alarms that Route 53 can read: one metric, a plain statistic, no "M out of N"', () => {
    const alarms = template.findResources('AWS::CloudWatch::Alarm');
    const watched = [...checks.values()].flatMap(({ AlarmIdentifier }) => (AlarmIdentifier ? [AlarmIdentifier] : []));
    expect(watched).toHaveLength(4);
    for (const { Name, Region } of watched) {
      expect(Region).toBe(region);
      const properties = alarms[Name.Ref]?.Properties;
      expect(['Average', 'Minimum', 'Maximum', 'Sum', 'SampleCount']).toContain(properties.Statistic);
      expect(properties.Metrics).toBeUndefined();
      expect(properties.DatapointsToAlarm).toBeUndefined();
    }
  });

  test('is on every record that leads here, and the operator finds it', () => {
    const records = Object.values(template.findResources('AWS::Route53::RecordSet')).map(
      ({ Properties }) => Properties,
    );
    const here = records.filter(({ Failover }) => Failover !== 'SECONDARY');
    expect(here.length).toBeGreaterThanOrEqual(2);
    for (const record of here) {
      expect(record.HealthCheckId).toEqual({ 'Fn::GetAtt': [calculatedId, 'HealthCheckId'] });
      expect(record.AliasTarget.EvaluateTargetHealth).toBe(true);
    }
    template.hasOutput('HealthCheckId', { Value: { 'Fn::GetAtt': [calculatedId, 'HealthCheckId'] } });
  });

  test("the region's own name leads to the nearest healthy region while it is sick", () => {
    template.hasResource('AWS::Route53::RecordSet', {
      Properties: Match.objectLike({
        Name: `${region}.origin.cdn.example.com.`,
        Failover: 'SECONDARY',
        AliasTarget: Match.objectLike({ DNSName: Match.anyValue() }),
      }),
      DependsOn: Match.anyValue(),
    });
    template.hasResourceProperties('AWS::CertificateManager::Certificate', {
      // While a region is sick, its name leads to the load balancer of another.
      SubjectAlternativeNames: Match.arrayWith(['*.origin.cdn.example.com']),
    });
  });
});

describe('the global stack', () => {
  const template = environment.template('global');

  test('has an origin for every region, which the function may choose', () => {
    template.hasResourceProperties('AWS::CloudFront::Distribution', {
      DistributionConfig: {
        Origins: Match.arrayWith(
          REGIONS.map((region) =>
            Match.objectLike({ Id: `edge-${region}`, DomainName: `${region}.origin.cdn.example.com` }),
          ),
        ),
      },
    });
  });

  test('measures every minute, and may do nothing but ask the regions and write the store', () => {
    template.hasResourceProperties('AWS::Events::Rule', { ScheduleExpression: 'rate(1 minute)', State: 'ENABLED' });
    template.hasResourceProperties('AWS::Lambda::Permission', { Principal: 'events.amazonaws.com' });
    const [scores, ...others] = Object.values(template.findResources('AWS::Lambda::Function')).filter(
      ({ Properties }) => 'KEY_VALUE_STORE_ARN' in (Properties.Environment?.Variables ?? {}),
    );
    expect(others).toEqual([]);
    const role = scores?.Properties.Role['Fn::GetAtt'][0];
    const statements = Object.values(template.findResources('AWS::IAM::Policy'))
      .filter(({ Properties }) => Properties.Roles.some(({ Ref }: { Ref: string }) => Ref === role))
      .flatMap(
        ({ Properties }) => Properties.PolicyDocument.Statement as { Action: string | string[]; Resource: unknown }[],
      );
    expect(statements.flatMap(({ Action }) => Action).sort()).toEqual([
      'cloudfront-keyvaluestore:DescribeKeyValueStore',
      'cloudfront-keyvaluestore:GetKey',
      'cloudfront-keyvaluestore:UpdateKeys',
      'lambda:InvokeFunction',
      'logs:CreateLogStream',
      'logs:PutLogEvents',
    ]);
    expect(JSON.stringify(statements.map(({ Resource }) => Resource))).not.toContain('*');
  });
});

describe('where a viewer is', () => {
  const template = environment.template('global');
  interface Behavior {
    readonly PathPattern?: string;
    readonly CachePolicyId?: unknown;
    readonly OriginRequestPolicyId?: unknown;
  }
  const resources = (type: string) => template.findResources(`AWS::CloudFront::${type}`);
  const requestPolicy = (id: string) => {
    const policy = resources('OriginRequestPolicy')[id];
    if (!policy) throw new Error(`no origin request policy ${id}`);
    return policy.Properties.OriginRequestPolicyConfig as {
      HeadersConfig: { HeaderBehavior: string; Headers: string[] };
    };
  };
  const [distribution] = Object.values(resources('Distribution'));
  const config = distribution?.Properties.DistributionConfig as {
    CacheBehaviors: Behavior[];
    DefaultCacheBehavior: Behavior;
  };

  test('is told to the function and the service that answers predictions', () => {
    const told = config.CacheBehaviors.filter(({ PathPattern }) => /predict$/.test(PathPattern ?? ''));
    expect(told.map(({ PathPattern }) => PathPattern)).toEqual(['/predict', '/batch_predict']);
    for (const { OriginRequestPolicyId } of told) {
      const { Ref } = OriginRequestPolicyId as { Ref: string };
      const { HeadersConfig } = requestPolicy(Ref);
      expect(HeadersConfig.HeaderBehavior).toBe('whitelist');
      expect(HeadersConfig.Headers).toEqual(expect.arrayContaining([...VIEWER_PLACE_HEADERS]));
      // Quota of an origin request policy.
      expect(HeadersConfig.Headers.length).toBeLessThanOrEqual(10);
    }
  });

  test('is in no cache key', () => {
    const policies = Object.values(resources('CachePolicy'));
    expect(policies.length).toBeGreaterThan(0);
    for (const { Properties } of policies) {
      const { HeadersConfig } = Properties.CachePolicyConfig.ParametersInCacheKeyAndForwardedToOrigin;
      expect(JSON.stringify(HeadersConfig)).not.toMatch(/cloudfront-/i);
    }
    // The only policy that is not ours caches nothing.
    const foreign = [config.DefaultCacheBehavior, ...config.CacheBehaviors].map(({ CachePolicyId }) => CachePolicyId);
    expect(new Set(foreign.filter((id) => typeof id === 'string'))).toEqual(new Set([CACHING_DISABLED]));
  });
});

test('an environment that routes by latency has neither', () => {
  const template = new SynthesizedEnvironment('dev').template('global');
  template.resourceCountIs('AWS::Events::Rule', 0);
  expect(JSON.stringify(template.toJSON())).not.toContain('us-east-1.origin.');
});

test('Route 53 tries the endpoint itself where its checkers are let in, and needs no key there', () => {
  const template = new SynthesizedEnvironment(prodWithRoute53Checkers()).template('edge-eu-west-1');
  const types = [...healthChecks(template).values()].map(({ Type }) => Type);
  expect(types.filter((type) => type === 'HTTPS')).toHaveLength(1);
  template.hasResourceProperties('AWS::ElasticLoadBalancingV2::ListenerRule', {
    Conditions: [{ Field: 'path-pattern', PathPatternConfig: { Values: ['/health'] } }],
  });
  // Both prefix lists together weigh more than the rules of one group.
  const rules = Object.values(template.findResources('AWS::EC2::SecurityGroupIngress')).map(({ Properties }) => ({
    list: Properties.SourcePrefixListId as string | undefined,
    port: Properties.FromPort as number,
    group: JSON.stringify(Properties.GroupId),
  }));
  const [checkers] = rules.filter(({ list }) => list === 'pl-0123456789');
  expect(checkers?.port).toBe(443);
  expect(rules.filter(({ group }) => group === checkers?.group)).toHaveLength(1);
  expect(JSON.stringify(template.findResources('AWS::ElasticLoadBalancingV2::LoadBalancer'))).toContain(
    checkers?.group,
  );
  const closed = environment.template('edge-eu-west-1');
  expect([...healthChecks(closed).values()].map(({ Type }) => Type)).not.toContain('HTTPS');
  const openPaths = closed.findResources('AWS::ElasticLoadBalancingV2::ListenerRule', {
    Properties: { Conditions: [{ Field: 'path-pattern' }] },
  });
  expect(openPaths).toEqual({});
});

test('routing is latency or score', () => {
  expect(() => parseConfig({ ...prod, routing: 'random' })).toThrow('"random" must be "latency" or "score"');
  expect(parseConfig({ ...prod, routing: undefined }).routing).toBe('latency');
});
