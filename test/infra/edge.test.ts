import { alarms } from '../../lib/checks/alarms';
import { distribution } from '../../lib/checks/distribution';
import { dns } from '../../lib/checks/dns';
import { edgeFunction } from '../../lib/checks/edge-function';
import { expectEachCaught, findings, inEdge, inGlobal, synthesized } from './breaking';

const stacks = synthesized('prod', ['us-east-1', 'eu-west-1']);

const DISTRIBUTION = 'AWS::CloudFront::Distribution';
const CONFIG = 'Properties.DistributionConfig';

describe('distribution', () => {
  expectEachCaught(stacks, distribution, [
    [
      'a minimum above the default',
      inGlobal('AWS::CloudFront::CachePolicy', 'Properties.CachePolicyConfig.MinTTL', 60),
      /MinTTL 60, DefaultTTL 0/,
    ],
    [
      'a default above the maximum',
      inGlobal('AWS::CloudFront::CachePolicy', 'Properties.CachePolicyConfig.DefaultTTL', 86_401),
      /DefaultTTL 86401, MaxTTL 86400/,
    ],
    [
      'a behaviour to nowhere',
      inGlobal(DISTRIBUTION, `${CONFIG}.DefaultCacheBehavior.TargetOriginId`, 'edgy'),
      /goes to edgy/,
    ],
    [
      'POST with an origin group',
      inGlobal(DISTRIBUTION, `${CONFIG}.CacheBehaviors.5.AllowedMethods`, [
        'GET',
        'HEAD',
        'OPTIONS',
        'PUT',
        'PATCH',
        'POST',
        'DELETE',
      ]),
      /allows PUT.* with an origin group/,
    ],
    [
      "the viewer's Host",
      inGlobal(
        DISTRIBUTION,
        `${CONFIG}.DefaultCacheBehavior.OriginRequestPolicyId`,
        '216adef6-5c7f-47e4-b989-5492eafa07d3',
      ),
      /forwards the viewer's Host/,
    ],
    [
      'a member that is no origin',
      inGlobal(DISTRIBUTION, `${CONFIG}.OriginGroups.Items.0.Members.Items.1.OriginId`, 'edge-away'),
      /member edge-away/,
    ],
    [
      'an origin that is waited for too long',
      inGlobal(DISTRIBUTION, `${CONFIG}.Origins.0.CustomOriginConfig.OriginReadTimeout`, 300),
      /waited for 300 s/,
    ],
    [
      'an origin inside a VPC',
      inGlobal(DISTRIBUTION, `${CONFIG}.Origins.0.VpcOriginConfig`, { VpcOriginId: 'x' }),
      /is in a VPC/,
    ],
    [
      'a bucket that no stack has',
      inGlobal(DISTRIBUTION, `${CONFIG}.Origins.3.DomainName`, 'other.s3.us-east-1.amazonaws.com'),
      /bucket other/,
    ],
    [
      'a bucket in another region',
      inGlobal(
        DISTRIBUTION,
        `${CONFIG}.Origins.3.DomainName`,
        'mlcdn-prod-models-777788889999-us-east-1-an.s3.eu-west-1.amazonaws.com',
      ),
      /addressed in eu-west-1/,
    ],
    [
      'a bucket without origin access control',
      inGlobal(DISTRIBUTION, `${CONFIG}.Origins.3.OriginAccessControlId`),
      /without origin access control/,
    ],
    [
      'a bucket that does not let CloudFront read',
      { stack: 'models-us-east-1', type: 'AWS::S3::BucketPolicy', path: 'Properties.PolicyDocument.Statement.1' },
      /lacks s3:GetObject/,
    ],
    [
      'a missing object that is 403',
      { stack: 'models-us-east-1', type: 'AWS::S3::BucketPolicy', path: 'Properties.PolicyDocument.Statement.2' },
      /403 instead of 404/,
    ],
    [
      'a certificate of another region',
      inGlobal(
        DISTRIBUTION,
        `${CONFIG}.ViewerCertificate.AcmCertificateArn`,
        'arn:aws:acm:eu-west-1:777788889999:certificate/x',
      ),
      /from eu-west-1/,
    ],
    [
      'a name that the certificate lacks',
      inGlobal(DISTRIBUTION, `${CONFIG}.Aliases`, ['www.example.com']),
      /does not name www\.example\.com/,
    ],
    [
      'cache tags that S3 drops',
      inGlobal(DISTRIBUTION, `${CONFIG}.CacheTagConfig.HeaderName`, 'cache-tag'),
      /cache tags from cache-tag/,
    ],
    [
      'large bodies that the firewall blocks',
      inGlobal('AWS::WAFv2::WebACL', 'Properties.Rules.2.Statement.ManagedRuleGroupStatement.RuleActionOverrides', []),
      /over 8 KB/,
    ],
  ]);

  test('firewall, certificate and function outside us-east-1', async () => {
    const moved = stacks.map((stack) => (stack.id.includes('global') ? { ...stack, region: 'eu-west-1' } : stack));
    const problems = (await findings(distribution, moved)).map(({ problem }) => problem);
    expect(problems).toContainEqual(expect.stringMatching(/^Scope CLOUDFRONT in eu-west-1/));
    expect(problems).toContainEqual(expect.stringMatching(/^takes .* from eu-west-1/));
  });

  test('more cache policies than an account may have', async () => {
    const more = Array.from({ length: 20 }, (_, index) => [
      `Policy${index}`,
      { Type: 'AWS::CloudFront::CachePolicy', Properties: {} },
    ]);
    const many = stacks.map((stack) =>
      stack.id.includes('global')
        ? {
            ...stack,
            template: { ...stack.template, Resources: { ...stack.template.Resources, ...Object.fromEntries(more) } },
          }
        : stack,
    );
    const found = await findings(distribution, many);
    expect(found).toContainEqual(expect.objectContaining({ right: 'at most 20' }));
  });
});

describe('edge-function', () => {
  const FUNCTION = 'AWS::CloudFront::Function';
  const code = (text: string) => inGlobal(FUNCTION, 'Properties.FunctionCode', text);
  expectEachCaught(stacks, edgeFunction, [
    ['code over 10 KB', code(`function handler(){}${' '.repeat(10_240)}`), /10260 bytes/],
    ['no handler', code('function main(){}'), /no handler/],
    [
      'a store that is not associated',
      inGlobal(FUNCTION, 'Properties.FunctionConfig.KeyValueStoreAssociations'),
      /none is associated/,
    ],
    ['a version that is not published', inGlobal(FUNCTION, 'Properties.AutoPublish', false), /not published/],
    [
      'an event that cannot choose origins',
      inGlobal(DISTRIBUTION, `${CONFIG}.DefaultCacheBehavior.FunctionAssociations.0.EventType`, 'viewer-response'),
      /event that cannot/,
    ],
    ['an origin that is gone', inGlobal(DISTRIBUTION, `${CONFIG}.Origins.6`), /sends requests to edge-eu-west-1/],
  ]);
});

describe('dns', () => {
  const RECORD = 'AWS::Route53::RecordSet';
  expectEachCaught(stacks, dns, [
    ['a region that is none', inEdge(RECORD, /RecordsOrigin/, 'Properties.Region', 'eu-west-9'), /Region eu-west-9/],
    [
      'two records of one region',
      inEdge(RECORD, /RecordsOrigin/, 'Properties.Region', 'us-east-1'),
      /has Region us-east-1 in mlcdn-prod-edge-us-east-1 too/,
    ],
    [
      'two records of one identifier',
      inEdge(RECORD, /RecordsOrigin/, 'Properties.SetIdentifier', 'us-east-1'),
      /has SetIdentifier us-east-1/,
    ],
    [
      'a record without identifier',
      inEdge(RECORD, /RecordsOrigin/, 'Properties.SetIdentifier'),
      /without SetIdentifier/,
    ],
    [
      'two routing policies',
      inEdge(RECORD, /RecordsOrigin/, 'Properties.Name', 'eu-west-1.origin.cdn.example.com.'),
      /is routed by Region here and by Failover/,
    ],
    [
      'a primary that never gives way',
      inEdge(RECORD, /RecordsRegion[0-9A-F]/, 'Properties.HealthCheckId'),
      /never gives way/,
    ],
    [
      'a certificate without the names of other regions',
      inEdge('AWS::CertificateManager::Certificate', /./, 'Properties.SubjectAlternativeNames', [
        'failover.cdn.example.com',
        'eu-west-1.origin.cdn.example.com',
      ]),
      /can lead us-east-1\.origin\.cdn\.example\.com here/,
    ],
    [
      'an origin without a record',
      inGlobal(DISTRIBUTION, `${CONFIG}.Origins.0.DomainName`, 'origins.cdn.example.com'),
      /leads to no load balancer/,
    ],
  ]);
});

describe('alarms', () => {
  const CHECK = 'AWS::Route53::HealthCheck';
  const ALARM = 'AWS::CloudWatch::Alarm';
  expectEachCaught(stacks, alarms, [
    [
      'a health check of an alarm that is none',
      inEdge(CHECK, /TaskErrors/, 'Properties.HealthCheckConfig.AlarmIdentifier.Name', 'other'),
      /alarm other/,
    ],
    [
      'a health check of another region',
      inEdge(CHECK, /TaskErrors/, 'Properties.HealthCheckConfig.AlarmIdentifier.Region', 'us-east-1'),
      /in us-east-1, not in the stack's/,
    ],
    ['a percentile', inEdge(ALARM, /HealthSlow/, 'Properties.Statistic'), /cannot read the alarm .*metric math/],
    ['M out of N', inEdge(ALARM, /HealthSlow/, 'Properties.DatapointsToAlarm', 2), /2 out of 3/],
    [
      'a part that is none',
      inEdge(CHECK, /HealthRegion/, 'Properties.HealthCheckConfig.ChildHealthChecks.0', 'x'),
      /part x/,
    ],
    [
      'a threshold out of reach',
      inEdge(CHECK, /HealthRegion/, 'Properties.HealthCheckConfig.HealthThreshold', 9),
      /needs 9 of/,
    ],
    [
      'a deployment that watches nothing',
      inEdge('AWS::ECS::Service', /./, 'Properties.DeploymentConfiguration.Alarms.AlarmNames', ['none']),
      /deployments watch the alarm none/,
    ],
    [
      'a composite of what is not there',
      inEdge('AWS::CloudWatch::CompositeAlarm', /./, 'Properties.AlarmRule', 'ALARM("other")'),
      /watch the alarm other/,
    ],
    [
      'a metric that nobody reports',
      inEdge(ALARM, /l1sick/, 'Properties', { Namespace: 'mlcdn', MetricName: 'TierHealth' }),
      /watches TierHealth/,
    ],
    [
      'metric math with two results',
      inEdge(ALARM, /deadletters/i, 'Properties.Metrics.1.ReturnData', true),
      /2 of its queries return data/,
    ],
    ['a look too far back', inEdge(ALARM, /HealthSlow/, 'Properties.EvaluationPeriods', 1500), /looks 90000 s back/],
  ]);
});
