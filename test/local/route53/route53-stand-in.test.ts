import { once } from 'node:events';
import { Certificates } from '../../../local/elb/certificates';
import { ElbStandIn } from '../../../local/elb/elb-stand-in';
import { regionDistances } from '../../../local/engine/distances';
import { serveLocally } from '../../../local/engine/http-server';
import type { ResourceModule, Running } from '../../../local/engine/types';
import { Route53StandIn } from '../../../local/route53/route53-stand-in';
import { resource } from '../support/platform';

const REGIONS = ['us-east-1', 'eu-west-1', 'ap-northeast-1'];
const certificates = new Certificates();
const elb = new ElbStandIn(certificates);
const dns = new Route53StandIn(elb, regionDistances);
const modules: ResourceModule[] = [...certificates.modules, ...elb.modules, ...dns.modules];
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
