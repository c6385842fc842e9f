import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evaluateAssembly, readCheckedAssembly } from '../../lib/checks/assembly';
import { type Architecture, architectureOf } from '../../scripts/diagram/architecture';
import { crosses, type Layout, layoutOf, overlaps, stretchesOf } from '../../scripts/diagram/layout';
import { inEdge, synthesized, synthesizeInto, withFaults } from '../infra/breaking';

const REGIONS = ['us-east-1', 'eu-west-1', 'ap-northeast-1'];
const prod = synthesized('prod', REGIONS);
const architecture = architectureOf(evaluateAssembly(prod));
const directory = mkdtempSync(join(tmpdir(), 'diagram-'));
synthesizeInto(directory, 'dev', ['us-east-1']);
const alone = architectureOf(readCheckedAssembly(directory));
afterAll(() => rmSync(directory, { recursive: true }));

function part({ parts }: Architecture, key: string) {
  return parts.find((candidate) => candidate.key === key);
}

/** Arrows of a kind, as `from -> to: label`. */
function arrows({ links }: Architecture, path: string): string[] {
  return links
    .filter((link) => link.path === path)
    .map(({ from, to, label }) => `${from} -> ${to}${label === '' ? '' : `: ${label}`}`)
    .toSorted();
}

describe('the architecture of three regions', () => {
  test('has each role once, where it belongs', () => {
    const titles = (place: string) =>
      architecture.parts
        .filter((candidate) => candidate.place === place)
        .map(({ title }) => title)
        .toSorted();
    expect(titles('global')).toEqual([
      'CloudFront distribution',
      'KeyValueStore',
      'Route 53 health checks',
      'Route 53 records',
      'origin-key-rotation',
      'region-scores function',
      'viewer-request function',
    ]);
    expect(titles('home')).toEqual(['model bucket']);
    expect(titles('edge')).toEqual([
      'CloudWatch alarms',
      'Valkey',
      'alarm topic',
      'control topic',
      'edge service',
      'invalidation function',
      'load balancer',
      'model bucket',
      'status function',
    ]);
    expect(titles('outside')).toEqual(['mlcdn CLI', 'on call', 'viewers']);
  });

  test('says in which regions a role is played', () => {
    expect(part(architecture, 'service')?.regions.toSorted()).toEqual(REGIONS.toSorted());
    expect(part(architecture, 'bucket')?.regions).toEqual(['us-east-1']);
    expect(part(architecture, 'replica')?.regions.toSorted()).toEqual(['ap-northeast-1', 'eu-west-1']);
  });

  test('shows the canary task as a service behind the same load balancer, and names without their region', () => {
    expect(part(architecture, 'service')?.lines).toEqual(
      expect.arrayContaining(['mlcdn-prod-edge', 'mlcdn-prod-edge-canary']),
    );
    expect(part(architecture, 'names')?.lines.toSorted()).toEqual([
      'REGION.origin: with failover',
      'failover: by latency',
      'origin: by latency',
    ]);
  });

  test('leads requests to services and buckets', () => {
    expect(arrows(architecture, 'request')).toEqual([
      'balancer -> service',
      'distribution -> bucket: /models/*',
      'distribution -> edge-function',
      'distribution -> names: all else',
      'distribution -> replica: /models/* (eu-west-1)',
      'edge-function -> store',
      'names -> balancer',
      'service -> cache: l1',
      'viewers -> distribution',
    ]);
  });

  test('leads invalidations through topic and control log', () => {
    expect(arrows(architecture, 'control')).toEqual([
      'cache -> service: control log',
      'control-topic -> invalidation',
      'invalidation -> cache: appends',
      'operator -> control-topic: invalidate, prepare, activate',
      'operator -> distribution: invalidate tags',
      'origin-key-rotation -> distribution: origin keys',
    ]);
  });

  test('leads models from the home region to the others', () => {
    expect(arrows(architecture, 'publishing')).toEqual([
      'bucket -> replica: replication',
      'bucket -> service: models (us-east-1)',
      'operator -> bucket: publish',
      'operator -> store: live version',
      'replica -> service: models (all but us-east-1)',
    ]);
  });

  test('leads health to the records, scores to the viewer, and alarms to people', () => {
    expect(arrows(architecture, 'health')).toEqual([
      'alarm-topic -> on-call: email',
      'alarms -> alarm-topic',
      'alarms -> health',
      'balancer -> alarms: metrics',
      'cache -> status: heartbeats',
      'health -> names',
      'operator -> health: drain',
      'region-scores -> status',
      'region-scores -> store: scores',
    ]);
  });
});

describe('what the templates do not have is not drawn', () => {
  test('a region without the subscription of its invalidation function', () => {
    const drawn = architectureOf(withFaults(prod, [inEdge('AWS::SNS::Subscription', /Invalidation/)]));
    expect(part(drawn, 'control-topic')?.regions).not.toContain('eu-west-1');
    expect(arrows(drawn, 'control')).toContain('control-topic -> invalidation: (all but eu-west-1)');
  });

  test('a deployment without the function of region scores', () => {
    const drawn = architectureOf(
      withFaults(prod, [{ stack: 'global', type: 'AWS::Lambda::Function', named: /^RegionScores/ }]),
    );
    expect(part(drawn, 'region-scores')).toBeUndefined();
    expect(arrows(drawn, 'health').filter((arrow) => arrow.includes('region-scores'))).toEqual([]);
  });

  test('one region has neither replicas nor replication, and a status function that the CLI alone asks', () => {
    expect(part(alone, 'replica')).toBeUndefined();
    expect(arrows(alone, 'health')).toContain('cache -> status: heartbeats');
    expect(arrows(alone, 'publishing')).toEqual([
      'bucket -> service: models',
      'operator -> bucket: publish',
      'operator -> store: live version',
    ]);
  });
});

describe.each([
  ['prod in three regions', architecture],
  ['dev in one', alone],
])('the layout of %s', (_what, drawn) => {
  const layout: Layout = layoutOf(drawn);
  const texts = layout.links.flatMap(({ text, label }) => (text ? [{ label, box: text }] : []));

  test('has no box on another, and no arrow through one', () => {
    for (const one of layout.parts) {
      const others = layout.parts.filter((other) => other !== one);
      expect(others.filter(({ box }) => overlaps(box, one.box)).map(({ key }) => `${one.key} on ${key}`)).toEqual([]);
      const foreign = layout.links.filter(({ from, to }) => from !== one.key && to !== one.key);
      const through = foreign.filter(({ corners }) => stretchesOf(corners).some((line) => crosses(line, one.box)));
      expect(through.map(({ from, to }) => `${from} -> ${to} through ${one.key}`)).toEqual([]);
    }
  });

  test('has every label beside boxes and other labels, within the picture', () => {
    for (const { label, box } of texts) {
      const under = layout.parts.filter((other) => overlaps(other.box, box)).map(({ key }) => key);
      const onto = texts.filter((other) => other.box !== box && overlaps(other.box, box));
      expect({ label, under, onto: onto.map((other) => other.label) }).toEqual({ label, under: [], onto: [] });
      expect(box.x + box.width / 2).toBeLessThan(layout.width);
    }
  });

  test('has few arrows that cross', () => {
    const lines = layout.links.map(({ corners }) => stretchesOf(corners));
    const crossings = lines.flatMap((one, index) =>
      lines.slice(index + 1).filter((other) => one.some((a) => other.some((b) => areCrossing(a, b)))),
    );
    expect(crossings.length).toBeLessThanOrEqual(8);
  });
});

type Line = ReturnType<typeof stretchesOf>[number];

function areCrossing([a, b]: Line, [c, d]: Line): boolean {
  const side = (p: Line[0], q: Line[0], r: Line[0]) => Math.sign((q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x));
  return side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0;
}

test('the command draws an assembly, and says how it is used', () => {
  const draw = (...words: string[]) =>
    execFileSync(process.execPath, ['--import', 'tsx', 'scripts/diagram.ts', ...words], { stdio: 'pipe' });
  draw(directory, join(directory, 'out.svg'));
  const svg = readFileSync(join(directory, 'out.svg'), 'utf8');
  expect(svg).toMatch(/^<svg [^>]*viewBox/);
  for (const { title } of alone.parts) expect(svg).toContain(`>${title}<`);
  expect(() => draw()).toThrow(/usage: npm run diagram/);
});
