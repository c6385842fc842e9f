import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type PlannedStack, readPlannedStacks } from '../../../lib/control/deploy-assembly';
import { planDeployment } from '../../../lib/control/deploy-plan';

function stack(id: string, dependencies: readonly string[] = [], changes: Partial<PlannedStack> = {}): PlannedStack {
  const place = { account: '111122223333', region: 'us-east-1' };
  return { id, path: `env/${id}`, stackName: id, ...place, dependencies, resources: [], ...changes };
}

const order = (stacks: readonly PlannedStack[]) =>
  planDeployment(stacks).waves.map((wave) => wave.map(({ stackName }) => stackName));

test('stacks deploy as early as what they need allows', () => {
  expect(order([stack('global', ['a', 'b']), stack('a', ['home']), stack('b', ['home']), stack('home')])).toEqual([
    ['home'],
    ['a', 'b'],
    ['global'],
  ]);
});

test('whatever the dependencies, every stack comes once and after all that it needs', () => {
  const graphs = fc.array(fc.array(fc.nat(20), { maxLength: 4 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(graphs, (graph) => {
      const stacks = graph.map((edges, index) => {
        const earlier = index === 0 ? [] : edges.map((edge) => `s${edge % index}`);
        return stack(`s${index}`, earlier);
      });
      const waves = order(stacks.toReversed());
      const waveOf = new Map(waves.flatMap((wave, index) => wave.map((id) => [id, index] as const)));
      expect(waves.flat()).toHaveLength(stacks.length);
      for (const { id, dependencies } of stacks) {
        for (const needed of dependencies) expect(waveOf.get(needed)).toBeLessThan(waveOf.get(id) ?? -1);
      }
    }),
  );
});

test('a circle is refused with the stacks in it', () => {
  expect(() => order([stack('first'), stack('a', ['b']), stack('b', ['a'])])).toThrow(
    'stacks depend on each other in a circle, or on one that is not there: a, b',
  );
});

test('quotas are raised to what the region needs under full load, and only where the default is too small', () => {
  const edge = (tasks: number, cpu: string) => [
    { type: 'AWS::ApplicationAutoScaling::ScalableTarget', properties: { MaxCapacity: tasks } },
    { type: 'AWS::ECS::TaskDefinition', properties: { Cpu: cpu } },
  ];
  const { quotas, optInRegions, bootstrapRegions } = planDeployment([
    stack('small', [], { resources: edge(6, '1024') }),
    stack('large', [], { region: 'ap-east-1', resources: edge(20, '2048') }),
  ]);
  expect(quotas.map(({ region, code, needed }) => [region, code, needed])).toEqual([['ap-east-1', 'L-3032A538', 40]]);
  expect(optInRegions).toEqual(['ap-east-1']);
  expect(bootstrapRegions).toEqual(['ap-east-1', 'us-east-1']);
});

describe('a directory', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mlcdn-assembly-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('without an assembly is refused by name', () => {
    expect(() => readPlannedStacks(directory)).toThrow(`${join(directory, 'manifest.json')} is no part of a cloud`);
  });

  test('with a stack of no concrete region is refused', () => {
    const properties = { templateFile: 't.json', stackName: 'a' };
    const artifact = {
      type: 'aws:cloudformation:stack',
      environment: 'aws://unknown-account/unknown-region',
      properties,
    };
    writeFileSync(join(directory, 'manifest.json'), JSON.stringify({ artifacts: { a: artifact } }));
    writeFileSync(join(directory, 't.json'), JSON.stringify({ Resources: {} }));
    expect(() => readPlannedStacks(directory)).toThrow(
      'stack a: environment aws://unknown-account/unknown-region must be aws://<account>/<region>',
    );
  });
});
