import { once } from 'node:events';
import {
  GetHealthCheckCommand,
  HealthCheckVersionMismatch,
  ListHealthChecksCommand,
  Route53Client,
  UpdateHealthCheckCommand,
} from '@aws-sdk/client-route-53';
import { CloudWatchStandIn } from '../../../local/cloudwatch/cloudwatch-stand-in';
import { MetricStore } from '../../../local/cloudwatch/metric-store';
import { Certificates } from '../../../local/elb/certificates';
import { ElbStandIn } from '../../../local/elb/elb-stand-in';
import { regionDistances } from '../../../local/engine/distances';
import { serveLocally } from '../../../local/engine/http-server';
import type { ResourceModule, Running } from '../../../local/engine/types';
import { Route53StandIn } from '../../../local/route53/route53-stand-in';
import { clientSettings, resource, testPlatform } from '../support/platform';

const REGIONS = ['us-east-1', 'eu-west-1', 'ap-northeast-1'];
const certificates = new Certificates();
const elb = new ElbStandIn(certificates);
const cloudWatch = new CloudWatchStandIn({ metrics: new MetricStore(), log: () => undefined });
const dns = new Route53StandIn(elb, regionDistances, (region, name) => cloudWatch.find(region, name));
const modules: ResourceModule[] = [...certificates.modules, ...cloudWatch.modules, ...elb.modules, ...dns.modules];
const stops: (() => Promise<void>)[] = [];
const dnsNames = new Map<string, string>();
const targets = new Map<string, { groupArn: string; port: number }>();

async function start(
  type: string,
  logicalId: string,
  region: string,
  properties: Record<string, unknown>,
): Promise<Running> {
  const module = modules.find((candidate) => candidate.type === type);
  if (!module) throw new Error(`no module for ${type}`);
  const running = await module.start(resource(type, logicalId, properties, region));
  if (running.stop) stops.push(running.stop);
  return running;
}

function latencyRecord(region: string, name = 'origin.x.test.'): Record<string, unknown> {
  const target = { DNSName: `dualstack.${dnsNames.get(region)}`, HostedZoneId: 'Z', EvaluateTargetHealth: true };
  return { Name: name, Type: 'A', HostedZoneId: 'Z', Region: region, SetIdentifier: region, AliasTarget: target };
}

beforeAll(async () => {
  const server = await serveLocally((_, response) => response.end());
  stops.push(server.close);
  for (const region of REGIONS) {
    const certificate = await start('AWS::CertificateManager::Certificate', 'Cert', region, {
      DomainName: 'Origin.x.test',
      SubjectAlternativeNames: ['failover.x.test'],
    });
    const elbType = (kind: string) => `AWS::ElasticLoadBalancingV2::${kind}`;
    const group = await start(elbType('TargetGroup'), 'Group', region, { Protocol: 'HTTP', TargetType: 'ip' });
    const alb = await start(elbType('LoadBalancer'), 'Alb', region, {});
    await start(elbType('Listener'), 'Listener', region, {
      LoadBalancerArn: alb.ref,
      Port: 443,
      Protocol: 'HTTPS',
      Certificates: [{ CertificateArn: certificate.ref }],
      DefaultActions: [{ Type: 'forward', TargetGroupArn: group.ref }],
    });
    dnsNames.set(region, String(alb.attributes?.DNSName));
    targets.set(region, { groupArn: group.ref, port: server.port });
    await start('AWS::Route53::RecordSet', 'Record', region, latencyRecord(region));
  }
});
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

async function setHealthy(region: string, healthy: boolean): Promise<void> {
  const target = targets.get(region);
  if (!target) throw new Error(`no target in ${region}`);
  const group = elb.targetGroup(target.groupArn);
  if (!healthy) return group.deregister('127.0.0.1', target.port);
  group.register('127.0.0.1', target.port);
  while (!group.hasHealthyTarget) await once(group, 'health');
}

const regionFrom = (from: string) => dns.resolve('origin.x.test', from)?.region;

describe('Route 53 latency records', () => {
  test('lead to the nearest region, and with the certificate names of its listener', async () => {
    await Promise.all(REGIONS.map((region) => setHealthy(region, true)));
    expect(REGIONS.map(regionFrom)).toEqual(REGIONS);
    expect(regionFrom('ap-south-1')).toBe('eu-west-1');
    expect(regionFrom('us-west-2')).toBe('us-east-1');
    expect(dns.resolve('ORIGIN.x.test.', 'us-east-1')).toMatchObject({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      certificateNames: ['origin.x.test', 'failover.x.test'],
    });
  });

  test('leave out a region whose targets are gone and take it back; all unhealthy counts as all healthy', async () => {
    await setHealthy('eu-west-1', false);
    expect(regionFrom('eu-west-1')).toBe('us-east-1');
    await setHealthy('us-east-1', false);
    await setHealthy('ap-northeast-1', false);
    expect(regionFrom('eu-west-1')).toBe('eu-west-1');
    await setHealthy('eu-west-1', true);
    expect(regionFrom('us-east-1')).toBe('eu-west-1');
  });

  test('an unknown name does not exist', () => {
    expect(dns.resolve('nobody.x.test', 'us-east-1')).toBeUndefined();
  });

  test('refuses what Route 53 refuses', async () => {
    const add = (properties: Record<string, unknown>) =>
      start('AWS::Route53::RecordSet', 'Extra', 'us-east-1', properties);
    await expect(add(latencyRecord('us-east-1'))).rejects.toThrow('origin.x.test A has a record for us-east-1');
    const { SetIdentifier: _, ...withoutIdentifier } = latencyRecord('us-west-2');
    await expect(add(withoutIdentifier)).rejects.toThrow('a latency record needs both');
    const { SetIdentifier: __, Region: ___, ...simple } = latencyRecord('us-east-1');
    await expect(add(simple)).rejects.toThrow('cannot have both a simple and a latency record');
    const lost = {
      ...simple,
      Name: 'new.x.test',
      AliasTarget: { DNSName: 'gone.elb.amazonaws.com', HostedZoneId: 'Z' },
    };
    await expect(add(lost)).rejects.toThrow('there is no load balancer gone.elb.amazonaws.com');
  });
});

describe('Route 53 health checks', () => {
  const platform = testPlatform();
  const ids: Record<string, string> = {};
  const check = async (name: string, config: object) => {
    const running = await start('AWS::Route53::HealthCheck', name, 'us-east-1', { HealthCheckConfig: config });
    ids[name] = String(running.attributes?.HealthCheckId);
    return ids[name];
  };
  const AlarmIdentifier = { Name: 'a', Region: 'us-east-1' };
  const name = 'checked.x.test';

  /** An alarm as Route 53 can follow it, but for what is given. */
  const alarm = (AlarmName: string, changes: Record<string, unknown> = {}) =>
    start('AWS::CloudWatch::Alarm', AlarmName, 'us-east-1', {
      ...{ AlarmName, Namespace: 'app', MetricName: 'Errors', Statistic: 'Sum', Period: 60 },
      ...{ EvaluationPeriods: 3, ComparisonOperator: 'GreaterThanThreshold', Threshold: 1 },
      ...changes,
    });

  beforeAll(async () => {
    await alarm('a');
    const well = await check('Well', {
      Type: 'CLOUDWATCH_METRIC',
      AlarmIdentifier,
      InsufficientDataHealthStatus: 'Healthy',
    });
    for (const region of REGIONS) {
      const id = await check(`All-${region}`, { Type: 'CALCULATED', ChildHealthChecks: [well], HealthThreshold: 1 });
      const record = { ...latencyRecord(region, name), HealthCheckId: id };
      await start('AWS::Route53::RecordSet', `Checked-${region}`, region, record);
    }
    const target = latencyRecord('eu-west-1').AliasTarget;
    const own = { Name: 'eu.x.test', Type: 'A', HostedZoneId: 'Z' };
    await start('AWS::Route53::RecordSet', 'Primary', 'eu-west-1', {
      ...{
        ...own,
        AliasTarget: target,
        Failover: 'PRIMARY',
        SetIdentifier: 'here',
        HealthCheckId: ids['All-eu-west-1'],
      },
    });
    await start('AWS::Route53::RecordSet', 'Secondary', 'eu-west-1', {
      ...{ ...own, Failover: 'SECONDARY', SetIdentifier: 'away' },
      AliasTarget: { DNSName: name, HostedZoneId: 'Z', EvaluateTargetHealth: true },
    });
    platform.get().front.serve(dns.api);
    for (const region of REGIONS) {
      await setHealthy(region, false);
      await setHealthy(region, true);
    }
  });

  const from = (host: string) => dns.resolve(host, 'eu-west-1')?.region;
  const client = () => new Route53Client(clientSettings(platform.get()));
  const set = (id: string | undefined, Disabled: boolean, Inverted: boolean, HealthCheckVersion?: number) =>
    client().send(new UpdateHealthCheckCommand({ HealthCheckId: id, Disabled, Inverted, HealthCheckVersion }));

  test('that is disabled and inverted takes its region out of every name, until it is put back', async () => {
    const id = ids['All-eu-west-1'];
    expect([from(name), from('eu.x.test')]).toEqual(['eu-west-1', 'eu-west-1']);
    await set(id, true, true);
    expect([from(name), from('eu.x.test')]).toEqual(['us-east-1', 'us-east-1']);
    const { HealthCheck } = await client().send(new GetHealthCheckCommand({ HealthCheckId: id }));
    expect(HealthCheck?.HealthCheckConfig).toMatchObject({ Type: 'CALCULATED', Disabled: true, Inverted: true });
    await set(id, false, false, HealthCheck?.HealthCheckVersion);
    expect([from(name), from('eu.x.test')]).toEqual(['eu-west-1', 'eu-west-1']);
  });

  test('follows its parts; a disabled check is healthy whatever they say', async () => {
    await set(ids.Well, false, true);
    await set(ids['All-us-east-1'], true, false);
    expect(from(name)).toBe('us-east-1');
    await set(ids['All-us-east-1'], false, false);
    await set(ids.Well, false, false);
  });

  test('is not changed over a change of somebody else, and must exist', async () => {
    await expect(set(ids.Well, true, true, 1)).rejects.toThrow(HealthCheckVersionMismatch);
    await expect(set('hc-none', true, true)).rejects.toThrow('No health check exists with the ID hc-none');
    await expect(client().send(new ListHealthChecksCommand({}))).rejects.toThrow('no stand-in');
    await expect(
      check('Lost', { Type: 'CALCULATED', ChildHealthChecks: ['hc-none'], HealthThreshold: 1 }),
    ).rejects.toThrow('hc-none');
  });
});

describe('a health check over an alarm', () => {
  const over = (Name: string) =>
    start('AWS::Route53::HealthCheck', `Over-${Name}`, 'us-east-1', {
      HealthCheckConfig: {
        Type: 'CLOUDWATCH_METRIC',
        AlarmIdentifier: { Name, Region: 'us-east-1' },
        InsufficientDataHealthStatus: 'Healthy',
      },
    });
  const base = { ComparisonOperator: 'GreaterThanThreshold', Threshold: 1, EvaluationPeriods: 3 };
  const plain = { ...base, Namespace: 'app', MetricName: 'Errors', Period: 60 };
  const alarms: [string, Record<string, unknown>, RegExp][] = [
    ['partly', { ...plain, Statistic: 'Sum', DatapointsToAlarm: 2 }, /2 of 3 data points, where all must breach/],
    ['percentile', { ...plain, ExtendedStatistic: 'p99' }, /its statistic is p99/],
    [
      'math',
      {
        ...base,
        Metrics: [
          { Id: 'e', Expression: 'm1 * 2' },
          {
            Id: 'm1',
            ReturnData: false,
            MetricStat: { Metric: { Namespace: 'app', MetricName: 'Errors' }, Period: 60, Stat: 'Sum' },
          },
        ],
      },
      /it is on metric math/,
    ],
  ];
  test.each(alarms)('is refused where Route 53 cannot follow the alarm: %s', async (AlarmName, properties, why) => {
    await start('AWS::CloudWatch::Alarm', AlarmName, 'us-east-1', { AlarmName, ...properties });
    await expect(over(AlarmName)).rejects.toThrow(why);
  });

  test('is refused for a composite alarm, and for one that does not exist', async () => {
    await start('AWS::CloudWatch::CompositeAlarm', 'both', 'us-east-1', {
      AlarmName: 'both',
      AlarmRule: 'ALARM(partly)',
    });
    await expect(over('both')).rejects.toThrow('it is a composite alarm');
    await expect(over('nobody')).rejects.toThrow('there is no alarm nobody in us-east-1');
  });
});

describe('distances between regions', () => {
  test('are measured where measured, symmetric, and zero within a region', () => {
    expect(regionDistances.betweenRegionsMs('us-east-1', 'us-east-1')).toBe(0);
    const there = regionDistances.betweenRegionsMs('us-east-1', 'ap-northeast-1');
    expect(there).toBe(regionDistances.betweenRegionsMs('ap-northeast-1', 'us-east-1'));
    expect(there).toBeGreaterThan(130);
    expect(there).toBeLessThan(200);
  });

  test('are estimated from the fibre length where not measured', () => {
    // Taipei to Hong Kong: about 805 km; 2 x 805 x 1.76 / 200.
    expect(regionDistances.betweenRegionsMs('ap-east-2', 'ap-east-1')).toBeCloseTo(14.2, 0);
  });

  test('a region that does not exist is named', () => {
    expect(() => regionDistances.betweenRegionsMs('us-east-9', 'us-east-1')).toThrow('region us-east-9');
  });
});
