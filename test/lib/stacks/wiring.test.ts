import { Match, type Template } from 'aws-cdk-lib/assertions';
import { EdgeEnvironment } from '../../../containers/edge/config';
import { parseConfig } from '../../../lib/config';
import { local } from '../../../lib/config/local';
import { ORIGIN_KEY_HEADER } from '../../../lib/core/origin-keys';
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

test('load balancers answer 403 but to the keys of the environment, the first of which the distribution sends', () => {
  const document = { ...local, originKeys: ['2026-12', '2026-11'] };
  const rotating = new SynthesizedEnvironment(parseConfig(document));
  const reference = (key: string) => `{{resolve:secretsmanager:mlcdn-local-origin-key-${key}:SecretString:::}}`;
  for (const region of REGIONS) {
    const template = rotating.template(`edge-${region}`);
    template.hasResourceProperties('AWS::ElasticLoadBalancingV2::Listener', {
      DefaultActions: [Match.objectLike({ Type: 'fixed-response' })],
    });
    template.hasResourceProperties('AWS::ElasticLoadBalancingV2::ListenerRule', {
      Conditions: [
        {
          Field: 'http-header',
          HttpHeaderConfig: {
            HttpHeaderName: ORIGIN_KEY_HEADER,
            Values: [reference('2026-12'), reference('2026-11')],
          },
        },
      ],
    });
  }
  const { DistributionConfig } = only<{ DistributionConfig: { Origins: { OriginCustomHeaders?: unknown }[] } }>(
    rotating.template('global'),
    'AWS::CloudFront::Distribution',
  );
  const sent = DistributionConfig.Origins.flatMap(({ OriginCustomHeaders }) => OriginCustomHeaders ?? []);
  expect(sent).toEqual(
    Array.from({ length: 3 + REGIONS.length }, () => ({
      HeaderName: ORIGIN_KEY_HEADER,
      HeaderValue: reference('2026-12'),
    })),
  );
});

test('a key is generated once and is in every region that refers to it', () => {
  const keys = environment.template('keys');
  const secret = only<{ Name: string; ReplicaRegions: { Region: string }[]; SecretString?: string }>(
    keys,
    'AWS::SecretsManager::Secret',
  );
  expect(secret.ReplicaRegions.map(({ Region }) => Region)).toEqual(['ap-northeast-1', 'eu-west-1']);
  expect(secret.SecretString).toBeUndefined();
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
