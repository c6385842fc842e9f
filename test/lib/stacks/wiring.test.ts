import { Match, type Template } from 'aws-cdk-lib/assertions';
import { EdgeEnvironment } from '../../../containers/edge/config';
import { ORIGIN_KEY_HEADERS, ORIGIN_KEYS } from '../../../lib/core/origin-keys';
import {
  controlTopicName,
  edgeServiceName,
  modelBucketName,
  statusFunctionName,
} from '../../../lib/core/resource-names';
import { SynthesizedEnvironment } from '../../support/synthesis';

const REGIONS = ['us-east-1', 'eu-west-1', 'ap-northeast-1'] as const;
const SCOPE = { environment: 'local', account: '000000000000' };
const environment = new SynthesizedEnvironment('local');

interface Variable {
  readonly Name: string;
  readonly Value: unknown;
}

function only<T>(template: Template, type: string): T {
  const found = Object.values(template.findResources(type));
  if (found.length !== 1) throw new Error(`${found.length} resources of type ${type}, expected 1`);
  return found[0]?.Properties as T;
}

describe.each(REGIONS)('the edge stack of %s', (region) => {
  const template = environment.template(`edge-${region}`);

  test('gives the task exactly variables that the service reads, its own bucket and its own cache among them', () => {
    const { ContainerDefinitions } = only<{ ContainerDefinitions: { Environment: Variable[] }[] }>(
      template,
      'AWS::ECS::TaskDefinition',
    );
    const variables = new Map(ContainerDefinitions[0]?.Environment.map(({ Name, Value }) => [Name, Value]));
    const read = Object.keys(EdgeEnvironment.shape);
    expect([...variables.keys()].filter((name) => !read.includes(name))).toEqual([]);
    expect(variables.get('REGION')).toBe(region);
    expect(variables.get('MODEL_BUCKET')).toBe(modelBucketName(SCOPE, region));
    expect(JSON.stringify(variables.get('REDIS_URL'))).toContain('rediss://');
  });

  test('lets tasks and functions log in to their own cache as their own user, and nobody as another', () => {
    const statements = Object.values(template.findResources('AWS::IAM::Policy')).flatMap(
      ({ Properties }) => Properties.PolicyDocument.Statement as { Action: string; Resource: string[] }[],
    );
    const places = statements
      .filter(({ Action }) => JSON.stringify(Action).includes('elasticache'))
      .map(({ Resource }) => Resource);
    const own = (role: string) => [
      `arn:aws:elasticache:${region}:000000000000:replicationgroup:mlcdn-local`,
      `arn:aws:elasticache:${region}:000000000000:user:mlcdn-local-${role}`,
    ];
    expect(places.toSorted()).toEqual([own('control'), own('control'), own('edge')]);
    const { ContainerDefinitions } = only<{ ContainerDefinitions: { Environment: Variable[] }[] }>(
      template,
      'AWS::ECS::TaskDefinition',
    );
    expect(ContainerDefinitions[0]?.Environment).toEqual(
      expect.arrayContaining([
        { Name: 'REDIS_IAM_USER', Value: 'mlcdn-local-edge' },
        { Name: 'REDIS_IAM_CACHE_NAME', Value: 'mlcdn-local' },
      ]),
    );
    template.hasResourceProperties('AWS::ElastiCache::ReplicationGroup', {
      ReplicationGroupId: 'mlcdn-local',
      UserGroupIds: [Match.anyValue()],
    });
  });

  test('subscribes the invalidation function to the control topic and lets the topic call it', () => {
    template.hasResourceProperties('AWS::SNS::Topic', { TopicName: controlTopicName(SCOPE) });
    const [topic] = Object.keys(template.findResources('AWS::SNS::Topic'));
    template.hasResourceProperties('AWS::SNS::Subscription', {
      Protocol: 'lambda',
      TopicArn: { Ref: topic },
      RedrivePolicy: Match.anyValue(),
    });
    template.hasResourceProperties('AWS::Lambda::Permission', {
      Principal: 'sns.amazonaws.com',
      SourceArn: { Ref: topic },
    });
    template.hasResourceProperties('AWS::Lambda::Function', { FunctionName: statusFunctionName(SCOPE) });
  });

  test('names cluster and service as operators expect and sends its load balancer traffic to them', () => {
    template.hasResourceProperties('AWS::ECS::Cluster', { ClusterName: edgeServiceName(SCOPE) });
    const [group] = Object.keys(template.findResources('AWS::ElasticLoadBalancingV2::TargetGroup'));
    template.hasResourceProperties('AWS::ECS::Service', {
      ServiceName: edgeServiceName(SCOPE),
      LoadBalancers: [Match.objectLike({ TargetGroupArn: { Ref: group } })],
    });
    template.hasResourceProperties('AWS::ElasticLoadBalancingV2::Listener', { Port: 443, Protocol: 'HTTPS' });
  });

  test('answers origin.<domain> for its own region with the health of its targets', () => {
    template.hasResourceProperties('AWS::Route53::RecordSet', {
      Name: 'origin.cdn.mlcdn.test.',
      Region: region,
      AliasTarget: Match.objectLike({ EvaluateTargetHealth: true }),
    });
  });

  test('keeps the control log when the cache is full', () => {
    template.hasResourceProperties('AWS::ElastiCache::ParameterGroup', {
      Properties: Match.objectLike({ 'maxmemory-policy': 'volatile-lfu' }),
    });
  });
});

const keyReference = (key: string) => `{{resolve:secretsmanager:mlcdn-local-origin-key-${key}:SecretString:::}}`;

test('load balancers answer 403 but to either of two keys, both of which the distribution sends to each of them', () => {
  const shown = ORIGIN_KEYS.map((key) => ({ HeaderName: ORIGIN_KEY_HEADERS[key], HeaderValue: keyReference(key) }));
  for (const region of REGIONS) {
    const template = environment.template(`edge-${region}`);
    template.hasResourceProperties('AWS::ElasticLoadBalancingV2::Listener', {
      DefaultActions: [Match.objectLike({ Type: 'fixed-response' })],
    });
    const rules = Object.values(template.findResources('AWS::ElasticLoadBalancingV2::ListenerRule'));
    const asked = rules.map(({ Properties }) => Properties.Conditions);
    const expected = shown.map(({ HeaderName, HeaderValue }) => [
      { Field: 'http-header', HttpHeaderConfig: { HttpHeaderName: HeaderName, Values: [HeaderValue] } },
    ]);
    expect(asked.filter(([{ Field }]) => Field === 'http-header')).toEqual(expected);
  }
  const { DistributionConfig } = only<{ DistributionConfig: { Origins: { OriginCustomHeaders?: unknown }[] } }>(
    environment.template('global'),
    'AWS::CloudFront::Distribution',
  );
  const sent = DistributionConfig.Origins.flatMap(({ OriginCustomHeaders }) =>
    OriginCustomHeaders ? [OriginCustomHeaders] : [],
  );
  expect(sent).toEqual(Array.from({ length: 3 + REGIONS.length }, () => shown));
});

test('the keys are generated once and are in every region that refers to them', () => {
  const secrets = Object.values(environment.template('keys').findResources('AWS::SecretsManager::Secret'));
  expect(secrets.map(({ Properties }) => Properties.Name)).toEqual(
    ORIGIN_KEYS.map((key) => `mlcdn-local-origin-key-${key}`),
  );
  for (const { Properties } of secrets) {
    expect(Properties.ReplicaRegions).toEqual([{ Region: 'ap-northeast-1' }, { Region: 'eu-west-1' }]);
    expect(Properties.SecretString).toBeUndefined();
  }
});

test('the keys are rotated on a schedule that begins only after the distribution, and not with a deployment', () => {
  const template = environment.template('global');
  template.hasResource('AWS::SecretsManager::RotationSchedule', {
    Properties: {
      SecretId: 'mlcdn-local-origin-key-first',
      RotationRules: { AutomaticallyAfterDays: 30 },
      RotateImmediatelyOnUpdate: false,
    },
    DependsOn: Match.arrayWith(Object.keys(template.findResources('AWS::CloudFront::Distribution'))),
  });
});

test('every region fails over to another, once', () => {
  const records = REGIONS.flatMap((target) =>
    Object.values(environment.template(`edge-${target}`).findResources('AWS::Route53::RecordSet'))
      .map(({ Properties }) => Properties as { Name: string; Region: string })
      .filter(({ Name }) => Name.startsWith('failover.'))
      .map(({ Region }) => ({ from: Region, target })),
  );
  expect(records.map(({ from }) => from).sort()).toEqual([...REGIONS].sort());
  expect(records.filter(({ from, target }) => from === target)).toEqual([]);
});

test('the home bucket replicates to every other region, the replicas to none', () => {
  const destinations = (region: string) =>
    JSON.stringify(
      only<{ ReplicationConfiguration?: unknown }>(environment.template(`models-${region}`), 'AWS::S3::Bucket')
        .ReplicationConfiguration ?? {},
    );
  for (const region of REGIONS.slice(1)) {
    expect(destinations('us-east-1')).toContain(modelBucketName(SCOPE, region));
    expect(destinations(region)).toBe('{}');
  }
});

test('a single region has no failover', () => {
  const alone = new SynthesizedEnvironment('local', { regions: ['eu-west-1'] });
  const names = Object.values(alone.template('edge-eu-west-1').findResources('AWS::Route53::RecordSet'));
  expect([...new Set(names.map(({ Properties }) => Properties.Name))]).toEqual([
    'origin.cdn.mlcdn.test.',
    'eu-west-1.origin.cdn.mlcdn.test.',
  ]);
});
