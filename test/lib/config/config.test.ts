import fc from 'fast-check';
import { ConfigError, ENVIRONMENT_NAMES, loadConfig, parseConfig } from '../../../lib/config';
import { fargateMemorySizes } from '../../../lib/config/fargate';
import { prod } from '../../../lib/config/prod';
import { nearestOtherRegion, regionsFailingOverTo } from '../../../lib/config/topology';
import { AWS_REGIONS, type RegionCode } from '../../../lib/core/regions';

/** The lines with which a document is refused. */
function refusals(document: unknown): string[] {
  try {
    parseConfig(document);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  throw new Error('the document was accepted');
}

describe('environments', () => {
  test.each(ENVIRONMENT_NAMES)('%s is valid', (name) => {
    expect(loadConfig(name).name).toBe(name);
  });

  test('an unknown one is refused with the known ones', () => {
    expect(() => loadConfig('production')).toThrow(
      'config: environment "production" does not exist; known: dev, staging, prod, local',
    );
  });

  test('the first region is home unless the document says', () => {
    expect(loadConfig('local').homeRegion).toBe('us-east-1');
    expect(loadConfig('local', { regions: ['sa-east-1', 'us-east-1'] }).homeRegion).toBe('sa-east-1');
    expect(loadConfig('prod', { regions: ['eu-west-1', 'us-east-1'] }).homeRegion).toBe('us-east-1');
    expect(loadConfig('prod', { regions: ['eu-west-1', 'sa-east-1'] }).homeRegion).toBe('eu-west-1');
  });

  test("a region's row overrides single sizes and keeps the others", () => {
    const tokyo = loadConfig('prod').regions.find((row) => row.region === 'ap-northeast-1');
    expect(tokyo?.edge).toEqual({ ...prod.edge, desiredCount: 3, maxCount: 30 });
  });

  test('regions replaced from outside keep the rows that the document has for them', () => {
    const config = loadConfig('prod', { regions: ['ap-northeast-1', 'sa-east-1'] });
    expect(config.regions.map((row) => [row.region, row.edge.maxCount])).toEqual([
      ['ap-northeast-1', 30],
      ['sa-east-1', prod.edge.maxCount],
    ]);
  });

  test('all regions are one word, and the environment keeps its home and its own rows', () => {
    const config = loadConfig('prod', { regions: 'all' });
    expect(config.regions.map((row) => row.region).toSorted()).toEqual(Object.keys(AWS_REGIONS).toSorted());
    expect(config.homeRegion).toBe('us-east-1');
    expect(config.regions.find((row) => row.region === 'ap-northeast-1')?.edge.maxCount).toBe(30);
  });

  test('a region has the zones of its environment, unless it has fewer or its row says so', () => {
    const config = parseConfig({
      ...prod,
      regions: [{ region: 'us-east-1' }, { region: 'us-west-1' }, { region: 'eu-west-1', availabilityZones: 2 }],
    });
    expect(config.regions.map((row) => row.availabilityZones)).toEqual([3, 2, 2]);
  });

  test('the account can be replaced from outside', () => {
    expect(loadConfig('dev', { account: '123456789012' }).account).toBe('123456789012');
    expect(() => loadConfig('dev', { account: '12' })).toThrow(
      'config dev: account: "12" must be a twelve-digit AWS account id',
    );
  });
});

describe('refusals name the field, the value and what is allowed', () => {
  const cases: readonly [string, object, string][] = [
    [
      'an unknown region',
      { regions: [{ region: 'us-east-1' }, { region: 'us-east-9' }] },
      'config prod: regions[1].region: "us-east-9" is not a commercial AWS region; nearest names: us-east-1, us-east-2, ap-east-1',
    ],
    [
      'a region named twice',
      { regions: [{ region: 'us-east-1' }, { region: 'eu-west-1' }, { region: 'us-east-1' }] },
      'config prod: regions[2].region: "us-east-1" is already named by regions[0]',
    ],
    ['no region', { regions: [], homeRegion: undefined }, 'config prod: regions: must name at least one region'],
    [
      'a home that is no region of the environment',
      { homeRegion: 'sa-east-1' },
      'config prod: homeRegion: "sa-east-1" must be one of the environment\'s regions: us-east-1, eu-west-1, ap-northeast-1',
    ],
    [
      'a missing domain name',
      { domain: { hostedZoneId: 'Z0123456789' } },
      'config prod: domain.name: no value must be a lower-case DNS name with at least two labels, such as cdn.example.com',
    ],
    [
      'a missing hosted zone',
      { domain: { name: 'cdn.example.com' } },
      'config prod: domain.hostedZoneId: no value must be a Route 53 hosted zone id such as Z0123456789ABCDEFGHIJ',
    ],
    [
      'memory that Fargate does not offer',
      { edge: { ...prod.edge, cpu: 512, memoryMiB: 8192 } },
      'config prod: edge.memoryMiB: 8192 is not offered by Fargate with cpu 512; allowed: 1024, 2048, 3072, 4096',
    ],
    [
      'a CPU that Fargate does not offer',
      { edge: { ...prod.edge, cpu: 1000 } },
      'config prod: edge.cpu: 1000 must be one of 256, 512, 1024, 2048, 4096, 8192, 16384',
    ],
    [
      'an impossible size in one region',
      { regions: [{ region: 'us-east-1', edge: { cpu: 256 } }] },
      'config prod: regions[0].edge.memoryMiB: 8192 is not offered by Fargate with cpu 256; allowed: 512, 1024, 2048',
    ],
    [
      'a node type that is none',
      { cache: { nodeType: 'r7g.large', replicas: 1 } },
      'config prod: cache.nodeType: "r7g.large" must be an ElastiCache node type such as cache.t4g.micro or cache.r7g.large',
    ],
    [
      'a canary that would be the only task',
      { edge: { ...prod.edge, desiredCount: 1 } },
      'config prod: edge.desiredCount: 1 must be at least 2 with canaryTask: one is the canary',
    ],
    [
      'a canary that would be the only task of one region',
      { regions: [{ region: 'us-east-1' }, { region: 'eu-west-1', edge: { desiredCount: 1 } }] },
      'config prod: regions[1].edge.desiredCount: 1 must be at least 2 with canaryTask: one is the canary',
    ],
    [
      'a canary that nothing judges',
      { rollBackOnAlarm: false },
      'config prod: canaryTask: needs rollBackOnAlarm: without alarms nothing tells a bad canary from a good one',
    ],
    [
      'fewer tasks under load than at rest',
      { edge: { ...prod.edge, maxCount: 1 } },
      'config prod: edge.maxCount: 1 must be at least desiredCount (2)',
    ],
    [
      'a memory tier that leaves no room for the service',
      { edge: { ...prod.edge, memoryCacheBytes: 5 * 1024 ** 3 } },
      "config prod: edge.memoryCacheBytes: 5368709120 must be at most half of the task's memory (4294967296)",
    ],
    [
      'a disk tier that does not fit the disk',
      { edge: { ...prod.edge, diskCacheBytes: 60 * 1024 ** 3 } },
      'config prod: edge.diskCacheBytes: 64424509440 must leave 8 GiB of ephemeralStorageGiB (60) free: at most 55834574848',
    ],
    [
      'a retention that CloudWatch Logs does not know',
      { logRetentionDays: 31 },
      /^config prod: logRetentionDays: 31 must be one of 1, 3, 5, 7, 14, 30, /.source,
    ],
    [
      'a route policy with a wrong duration',
      { originUrl: 'https://api.example.com', routePolicies: [{ path: '/a' }, { path: '/b', maxTtlSeconds: -1 }] },
      'config prod: routePolicies[1].maxTtlSeconds: -1 must be whole seconds from 0 to 31536000',
    ],
    [
      'route policies without an HTTP origin',
      { originUrl: undefined, routePolicies: [{ path: '/a' }] },
      'config prod: routePolicies: need the originUrl whose responses they are about',
    ],
    [
      'route policies that no task definition can hold',
      {
        originUrl: 'https://api.example.com',
        routePolicies: Array.from({ length: 33 }, () => ({ path: `/${'a'.repeat(1000)}` })),
      },
      'config prod: routePolicies: 33430 bytes as JSON must be at most 32768',
    ],
    [
      'more NAT gateways than zones',
      { availabilityZones: 2, natGateways: 3 },
      'config prod: natGateways: 3 must be at most availabilityZones (2)',
    ],
    [
      'a rotation of the origin keys more often than daily',
      { originKeyRotation: { everyDays: 0 } },
      'config prod: originKeyRotation.everyDays: 0 must be a whole number from 1 to 1000',
    ],
    [
      'a budget that nobody can be told of',
      { budget: { monthlyUsd: 100, emails: ['ops'] } },
      'config prod: budget.emails[0]: "ops" must be an e-mail address',
    ],
    ['a misspelt field', { natGateway: 1 }, 'config prod: Unrecognized key: "natGateway"'],
  ];

  test.each(cases)('%s', (_what, fault, expected) => {
    const [line, ...others] = refusals({ ...prod, homeRegion: undefined, ...fault });
    if (expected.startsWith('^')) expect(line).toMatch(new RegExp(expected));
    else expect(line).toBe(expected);
    expect(others).toEqual([]);
  });

  test('all faults at once, a line each', () => {
    expect(refusals({ ...prod, account: '1', channelPollSeconds: 0 })).toEqual([
      'config prod: account: "1" must be a twelve-digit AWS account id',
      'config prod: channelPollSeconds: 0 must be a whole number from 1 to 3600',
    ]);
  });
});

test('Fargate memory sizes are those of the ECS developer guide', () => {
  expect(fargateMemorySizes(256)).toEqual([512, 1024, 2048]);
  expect(fargateMemorySizes(8192)).toEqual(Array.from({ length: 12 }, (_, i) => 16_384 + i * 4096));
  expect(fargateMemorySizes(16_384).at(-1)).toBe(122_880);
  expect(fargateMemorySizes(300)).toEqual([]);
});

describe('failover topology', () => {
  const regionLists = fc.uniqueArray(fc.constantFrom(...(Object.keys(AWS_REGIONS) as RegionCode[])), { minLength: 2 });

  test('the nearest other region is a neighbour on the globe', () => {
    const regions: RegionCode[] = ['us-east-1', 'eu-west-1', 'ap-northeast-1', 'us-west-2'];
    expect(nearestOtherRegion('us-east-1', regions)).toBe('us-west-2');
    expect(nearestOtherRegion('ap-northeast-1', regions)).toBe('us-west-2');
    expect(nearestOtherRegion('us-east-1', ['us-east-1'])).toBeUndefined();
  });

  test('every region fails over to exactly one other', () => {
    fc.assert(
      fc.property(regionLists, (regions) => {
        const covered = regions.flatMap((target) => regionsFailingOverTo(target, regions));
        expect(covered.toSorted()).toEqual(regions.toSorted());
        for (const target of regions) expect(regionsFailingOverTo(target, regions)).not.toContain(target);
      }),
    );
  });
});
