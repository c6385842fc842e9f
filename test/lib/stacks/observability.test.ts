import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Match, type Template } from 'aws-cdk-lib/assertions';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { EdgeEnvironment } from '../../../containers/edge/config';
import { loadConfig } from '../../../lib/config';
import { Alarms } from '../../../lib/constructs/monitoring/alarms';
import { BURN_RATES, OBJECTIVE_DAYS } from '../../../lib/constructs/monitoring/burn-rate';
import { RUNBOOKS, runbookLink } from '../../../lib/constructs/monitoring/runbooks';
import { hourlyCost } from '../../../lib/constructs/monitoring/running-cost';
import { LIVE_TASKS, METRICS_NAMESPACE, REGION_METRICS, TIER_METRICS } from '../../../lib/core/cloudwatch-metrics';
import { SynthesizedEnvironment } from '../../support/synthesis';

const PAGES = join(__dirname, '../../../docs/runbooks');
const ENVIRONMENTS = ['prod', 'local'] as const;

interface MetricStat {
  readonly Namespace?: string;
  readonly MetricName?: string;
  readonly Dimensions?: readonly { readonly Name: string; readonly Value: unknown }[];
}
interface AlarmProperties extends MetricStat {
  readonly AlarmName: string;
  readonly AlarmDescription: string;
  readonly AlarmActions?: readonly unknown[];
  readonly AlarmRule?: unknown;
  readonly Metrics?: readonly {
    readonly Id: string;
    readonly Expression?: string;
    readonly MetricStat?: { readonly Metric: MetricStat };
  }[];
}

function alarmsOf(template: Template): Map<string, AlarmProperties> {
  const all = ['AWS::CloudWatch::Alarm', 'AWS::CloudWatch::CompositeAlarm'].flatMap((type) =>
    Object.entries(template.findResources(type)),
  );
  return new Map(all.map(([id, { Properties }]) => [id, Properties as AlarmProperties]));
}

function runbookOf({ AlarmDescription }: AlarmProperties): string | undefined {
  return /Runbook: docs\/runbooks\/([a-z0-9-]+)\.md$/.exec(AlarmDescription)?.[1];
}

function metricsOf({ Metrics = [], ...alarm }: AlarmProperties): MetricStat[] {
  const inMath = Metrics.flatMap(({ MetricStat }) => (MetricStat ? [MetricStat.Metric] : []));
  return alarm.MetricName === undefined ? inMath : [alarm, ...inMath];
}

/** A dashboard's body, with a mark where CloudFormation fills something in. */
function dashboardOf(template: Template): { widgets: { type: string; properties: Record<string, unknown> }[] } {
  const [dashboard] = Object.values(template.findResources('AWS::CloudWatch::Dashboard'));
  const body = dashboard?.Properties.DashboardBody as string | { 'Fn::Join': [string, unknown[]] };
  const text =
    typeof body === 'string'
      ? body
      : body['Fn::Join'][1].map((part) => (typeof part === 'string' ? part : 'FILLED')).join('');
  return JSON.parse(text) as ReturnType<typeof dashboardOf>;
}

const environments = new Map(ENVIRONMENTS.map((name) => [name, new SynthesizedEnvironment(name)]));
const templates = ENVIRONMENTS.flatMap((name) => {
  const stacks = [...loadConfig(name).regions.map(({ region }) => `edge-${region}`), 'global'];
  return stacks.map(
    (stack) => [`${stack} of ${name}`, name, environments.get(name)?.template(stack) as Template] as const,
  );
});

describe.each(templates)('the alarms of %s', (_title, environment, template) => {
  const alarms = alarmsOf(template);

  test('have a runbook each', () => {
    expect(alarms.size).toBeGreaterThan(3);
    expect([...alarms].filter(([, alarm]) => !RUNBOOKS.some((page) => page === runbookOf(alarm)))).toEqual([]);
  });

  test('reach the operators, themselves or by an alarm that is made of them', () => {
    const topics = Object.keys(
      template.findResources('AWS::SNS::Topic', { Properties: { KmsMasterKeyId: Match.anyValue() } }),
    );
    expect(topics).toHaveLength(1);
    const notifying = [...alarms].filter(([, { AlarmActions }]) =>
      JSON.stringify(AlarmActions ?? []).includes(`"${topics[0]}"`),
    );
    const rules = notifying.map(([, { AlarmRule }]) => JSON.stringify(AlarmRule ?? ''));
    const told = new Set(notifying.map(([id]) => id));
    const silent = [...alarms.keys()].filter((id) => !told.has(id) && !rules.some((rule) => rule.includes(`"${id}"`)));
    expect(silent).toEqual([]);
  });

  test('have names of their own', () => {
    const names = [...alarms.values()].map(({ AlarmName }) => AlarmName).filter((name) => name !== undefined);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => !name.startsWith(`mlcdn-${environment}-`))).toEqual([]);
  });

  test('ask for metrics that edge tasks report, under their environment', () => {
    const ours = [...alarms.values()].flatMap(metricsOf).filter(({ Namespace }) => Namespace === METRICS_NAMESPACE);
    for (const { MetricName = '', Dimensions = [] } of ours) {
      const byName = Object.fromEntries(Dimensions.map(({ Name, Value }) => [Name, Value]));
      expect(byName.Environment).toBe(environment);
      const names = Object.keys(MetricName in TIER_METRICS ? TIER_METRICS : REGION_METRICS);
      expect(names).toContain(MetricName);
      expect('Tier' in byName).toBe(MetricName in TIER_METRICS);
    }
  });

  test('compute with nothing that they do not define', () => {
    for (const { Metrics = [] } of alarms.values()) {
      const ids = Metrics.map(({ Id }) => Id);
      const used = Metrics.flatMap(({ Expression = '' }) => Expression.match(/\b[a-z][a-zA-Z0-9_]*\b/g) ?? []);
      expect(used.filter((name) => !ids.includes(name))).toEqual([]);
    }
  });
});

test('every alarm of any environment has a page, and every page an alarm', () => {
  const pages = readdirSync(PAGES).filter((name) => name !== 'README.md');
  expect(pages.toSorted()).toEqual(RUNBOOKS.map((page) => `${page}.md`).toSorted());
  const used = templates.flatMap(([, , template]) => [...alarmsOf(template).values()].map(runbookOf));
  expect(RUNBOOKS.filter((page) => !used.includes(page))).toEqual([]);
});

test.each(RUNBOOKS)('the page %s says what to do', (page) => {
  const text = readFileSync(join(PAGES, `${page}.md`), 'utf8');
  for (const heading of ['## What it means', '## How to confirm', '## What to do', '## When to escalate']) {
    expect(text).toContain(heading);
  }
});

test.each(RUNBOOKS)('the page %s names commands that there are', (page) => {
  const cli = readFileSync(join(__dirname, '../../../bin/mlcdn.ts'), 'utf8');
  const text = readFileSync(join(PAGES, `${page}.md`), 'utf8');
  for (const [, command] of text.matchAll(/npx mlcdn ([a-z-]+)/g))
    expect(cli).toContain(`program.command('${command}')`);
  for (const [, link] of text.matchAll(/\]\(([^)]+)\.md\)/g)) expect(RUNBOOKS).toContain(link);
});

describe('alarms', () => {
  const settings = { emails: ['oncall@example.com'], runbooksUrl: 'https://wiki.example.com/runbooks/' };
  const stack = () => new Stack(new App(), 'S', { env: { account: '111122223333', region: 'eu-west-1' } });
  const metric = new Metric({ namespace: 'n', metricName: 'm' });

  test('link to where the environment publishes its runbooks', () => {
    expect(runbookLink('no-task', settings.runbooksUrl)).toBe('https://wiki.example.com/runbooks/no-task.md');
  });

  test.each([{}, { above: 1, below: 0 }])('refuse a condition with limits %j', (limits) => {
    const alarms = new Alarms(stack(), 'Alarms', { namePrefix: 'p', settings });
    const condition = { runbook: 'no-task', meaning: 'x', metric, periods: 1, ...limits } as const;
    expect(() => alarms.add('a', condition)).toThrow('alarm a: exactly one of above and below must be given');
  });

  test('refuse to adopt an alarm that has no page', () => {
    const scope = stack();
    const alarms = new Alarms(scope, 'Alarms', { namePrefix: 'p', settings });
    const made = alarms.add('a', { runbook: 'no-task', meaning: 'x', metric, periods: 1, above: 1 });
    expect(() => alarms.adopt(made, {})).toThrow('alarm S/Alarms/a has no runbook');
  });
});

describe('in prod', () => {
  const prod = environments.get('prod') as SynthesizedEnvironment;
  const edge = prod.template('edge-us-east-1');

  test('tasks report under the environment that alarms and dashboards ask for', () => {
    const [task] = Object.values(edge.findResources('AWS::ECS::TaskDefinition'));
    const variables = task?.Properties.ContainerDefinitions[0].Environment as { Name: string; Value: string }[];
    expect(variables).toContainEqual({ Name: 'CLOUDWATCH_ENVIRONMENT', Value: 'prod' });
    expect(Object.keys(EdgeEnvironment.shape)).toContain('CLOUDWATCH_ENVIRONMENT');
  });

  test('CloudWatch may use the key of the topic, for alarms of this account', () => {
    edge.hasResourceProperties('AWS::KMS::Key', {
      EnableKeyRotation: true,
      KeyPolicy: Match.objectLike({
        Statement: Match.arrayWith([
          Match.objectLike({
            Action: Match.arrayWith(['kms:Decrypt']),
            Principal: { Service: 'cloudwatch.amazonaws.com' },
            Condition: { StringEquals: { 'aws:SourceAccount': '777788889999' } },
          }),
        ]),
      }),
    });
    edge.hasResourceProperties('AWS::SNS::Subscription', { Protocol: 'email', Endpoint: 'oncall@example.com' });
  });

  test('the key of the topic goes with its stack', () => {
    edge.hasResource('AWS::KMS::Key', { DeletionPolicy: 'Delete', UpdateReplacePolicy: 'Delete' });
  });

  test('a region that fails its callers is one alarm', () => {
    const failing = [...alarmsOf(edge).values()].find(({ AlarmName }) => AlarmName === 'mlcdn-prod-region-failing');
    const rule = JSON.stringify(failing?.AlarmRule);
    for (const part of ['HealthNoTask', 'HealthEntranceErrors', 'AlarmsErrors', 'sloavailabilityfast'])
      expect(rule).toContain(part);
  });

  test("a region's dashboard shows what callers get, in metrics that tasks report", () => {
    const { widgets } = dashboardOf(edge);
    const titles = widgets.map(({ properties }) => String(properties.title));
    for (const part of [
      'Hit rate',
      'p50',
      'p95',
      'p99',
      'Bandwidth',
      'Error rate',
      'Requests',
      'offload',
      'lag',
      'versions',
      'cost',
    ]) {
      expect(titles.filter((title) => title.includes(part))).not.toEqual([]);
    }
    const rows = widgets.flatMap(({ properties }) => (properties.metrics as unknown[][] | undefined) ?? []);
    const ours = rows.filter(([namespace]) => namespace === METRICS_NAMESPACE);
    expect(ours.length).toBeGreaterThan(30);
    for (const [, name, ...rest] of ours) {
      expect([...Object.keys(REGION_METRICS), ...Object.keys(TIER_METRICS)]).toContain(name);
      expect(rest.slice(0, 4)).toEqual(['Environment', 'prod', 'Region', 'us-east-1']);
    }
    expect(JSON.stringify(widgets)).toContain(`MetricName=\\"${LIVE_TASKS}\\"`);
  });

  test('the global dashboard shows CloudFront, its function, the firewall and every region', () => {
    const text = JSON.stringify(dashboardOf(prod.template('global')));
    for (const part of [
      'OriginLatency',
      'CacheHitRate',
      'FunctionExecutionErrors',
      'BlockedRequests',
      'ap-northeast-1',
    ]) {
      expect(text).toContain(part);
    }
  });
});

test('the burn rates spend 2, 5 and 10 percent of the budget in their long windows, the short ones a twelfth of these', () => {
  const spent = BURN_RATES.map(({ factor, long }) => (factor * long.toHours()) / (OBJECTIVE_DAYS * 24));
  expect(spent.map((share) => Number(share.toFixed(4)))).toEqual([0.02, 0.05, 0.1]);
  for (const { long, short } of BURN_RATES) expect(long.toMinutes() / short.toMinutes()).toBe(12);
});

describe('the running cost', () => {
  const row = (region: string) => {
    const config = loadConfig('prod', { regions: [region] });
    const [found] = config.regions;
    if (!found) throw new Error('no region');
    return hourlyCost(found, config.natGateways);
  };

  test('is that of the parts by the price table', () => {
    const { ofOneTask, fixed, unpriced } = row('us-east-1');
    expect(ofOneTask).toBeCloseTo(2 * 0.03238 + 8 * 0.00356 + 40 * 0.000111, 6);
    expect(fixed).toBeCloseTo(0.0225 + 2 * 0.1752 + 3 * 0.045, 6);
    expect(unpriced).toEqual([]);
  });

  test('names what has no price', () => {
    expect(row('eu-west-3').unpriced).toEqual(['Valkey cache.r7g.large', 'NAT gateway']);
  });
});
