import { once } from 'node:events';
import { ORIGIN_KEY_HEADERS } from '../../../lib/core/origin-keys';
import { CloudWatchStandIn } from '../../../local/cloudwatch/cloudwatch-stand-in';
import { MetricStore } from '../../../local/cloudwatch/metric-store';
import { Certificates } from '../../../local/elb/certificates';
import { ElbStandIn } from '../../../local/elb/elb-stand-in';
import { regionDistances } from '../../../local/engine/distances';
import { type LocalServer, serveLocally } from '../../../local/engine/http-server';
import { type RunningAssembly, runAssembly } from '../../../local/engine/run-assembly';
import type { ResourceModule } from '../../../local/engine/types';
import { Route53StandIn } from '../../../local/route53/route53-stand-in';
import { SynthesizedEnvironment } from '../../support/synthesis';
import { writeAssembly } from '../support/cloud-assembly';
import { recordingModule } from '../support/recording-module';
import { temporaryDirectory } from '../support/temporary-directory';

const REGIONS = ['us-east-1', 'eu-west-1'] as const;
type Region = (typeof REGIONS)[number];
const KEY = 'the key';
const MINUTE = 60_000;
/** One more than the alarms let pass in a minute. */
const ERRORS = 101;

interface SynthesizedTemplate {
  readonly Resources: Readonly<Record<string, { readonly Type: string }>>;
}

let now = 1_000 * MINUTE;
const metrics = new MetricStore(() => now);
const certificates = new Certificates();
const elb = new ElbStandIn(certificates, undefined, metrics);
const log: string[] = [];
const cloudWatch = new CloudWatchStandIn({
  metrics,
  log: (line) => log.push(line),
  collect: (to) => elb.measureHosts(to - 1),
});
const dns = new Route53StandIn(elb, regionDistances, (region, name) => cloudWatch.find(region, name));
const groups = new Map<string, string>();
const tasks = new Map<Region, { status: number; readonly server: LocalServer }>();
let assembly: RunningAssembly;
const directory = temporaryDirectory();

/** Load balancers, alarms, health checks and records as the templates have them; the rest is only there to be named. */
function modulesFor(templates: readonly SynthesizedTemplate[]): ResourceModule[] {
  const types = new Set(templates.flatMap(({ Resources }) => Object.values(Resources).map(({ Type }) => Type)));
  const asked = JSON.stringify(templates).matchAll(/"Fn::GetAtt":\["\w+","([\w.]+)"\]/g);
  const attributes = Object.fromEntries([...asked].map(([, name = '']) => [name, `the ${name}`]));
  const real = [certificates, elb, cloudWatch, dns].flatMap(({ modules }) => modules);
  const known = new Set(real.map(({ type }) => type));
  const named = [...types].filter((type) => !known.has(type));
  return [
    ...real.map((module) => ({
      type: module.type,
      start: async (resource: Parameters<typeof module.start>[0]) => {
        const running = await module.start(resource);
        if (module.type.endsWith('::TargetGroup')) groups.set(resource.region, running.ref);
        return running;
      },
    })),
    ...named.map((type) => recordingModule(type, { attributes: () => attributes })),
  ];
}

beforeAll(async () => {
  const environment = new SynthesizedEnvironment('local', { regions: [...REGIONS] });
  const stacks = REGIONS.map((region) => {
    const template = environment.template(`edge-${region}`).toJSON() as SynthesizedTemplate;
    return [region, { region, stackName: `edge-${region}`, template }] as const;
  });
  assembly = await runAssembly({
    assemblyDir: writeAssembly(directory, Object.fromEntries(stacks)),
    modules: modulesFor(stacks.map(([, { template }]) => template)),
    secrets: () => KEY,
    log: () => undefined,
  });
  for (const region of REGIONS) {
    const state = { status: 200 };
    const server = await serveLocally((request, response) => {
      response.writeHead(request.url === '/health' ? 200 : state.status).end();
    });
    tasks.set(region, Object.assign(state, { server }));
    const group = elb.targetGroup(groups.get(region) ?? '');
    group.register('127.0.0.1', server.port);
    while (!group.hasHealthyTarget) await once(group, 'health');
  }
}, 60_000);

afterAll(async () => {
  await assembly?.stop();
  for (const { server } of tasks.values()) await server.close();
});

const servedFor = (region: Region) => dns.resolve('origin.cdn.mlcdn.test', region)?.region;

/** A minute in which so many requests of viewers near a region are sent to wherever DNS leads them. */
async function minute(viewersNear: Region, requests: number): Promise<void> {
  const url = dns.resolve('origin.cdn.mlcdn.test', viewersNear)?.url;
  for (let sent = 0; sent < requests; sent += 1) {
    const response = await fetch(`${url}/predict`, { headers: { [ORIGIN_KEY_HEADERS.first]: KEY } });
    await response.arrayBuffer();
  }
  now += MINUTE;
  cloudWatch.evaluate(now);
}

function answerWith(region: Region, status: number): void {
  const task = tasks.get(region);
  if (task) task.status = status;
}

test('a region whose tasks answer 5xx, though they pass their health check, leaves DNS and comes back', async () => {
  await minute('eu-west-1', 5);
  expect(REGIONS.map(servedFor)).toEqual(REGIONS);

  answerWith('eu-west-1', 500);
  await minute('eu-west-1', ERRORS);
  await minute('eu-west-1', ERRORS);
  expect(servedFor('eu-west-1')).toBe('eu-west-1');
  await minute('eu-west-1', ERRORS);
  expect(servedFor('eu-west-1')).toBe('us-east-1');
  expect(servedFor('us-east-1')).toBe('us-east-1');
  // A name that leads to one region leads elsewhere meanwhile.
  expect(dns.resolve('eu-west-1.origin.cdn.mlcdn.test', 'eu-west-1')?.region).toBe('us-east-1');
  expect(log).toContainEqual(expect.stringMatching(/TaskErrors.* of eu-west-1: OK -> ALARM .*101, 101, 101/));

  answerWith('eu-west-1', 200);
  for (let passed = 0; passed < 5; passed += 1) await minute('eu-west-1', 5);
  expect(REGIONS.map(servedFor)).toEqual(REGIONS);
});

test('a few errors move nobody', async () => {
  answerWith('eu-west-1', 503);
  for (let passed = 0; passed < 4; passed += 1) await minute('eu-west-1', ERRORS - 1);
  expect(REGIONS.map(servedFor)).toEqual(REGIONS);
  answerWith('eu-west-1', 200);
});

test('when every region is sick, all count as well', async () => {
  for (const region of REGIONS) answerWith(region, 500);
  for (let passed = 0; passed < 3; passed += 1) {
    const before = now;
    for (const region of REGIONS) {
      now = before;
      await minute(region, ERRORS);
    }
  }
  expect(REGIONS.map(servedFor)).toEqual(REGIONS);
});
