import { runAssembly } from '../../../local/engine/run-assembly';
import type { ResourceModule } from '../../../local/engine/types';
import { type StackSource, writeAssembly } from '../support/cloud-assembly';
import { recordingModule } from '../support/recording-module';
import { temporaryDirectory } from '../support/temporary-directory';

const directory = temporaryDirectory();

function run(
  stacks: Readonly<Record<string, StackSource>>,
  modules: readonly ResourceModule[],
  checks: (() => string[])[] = [],
) {
  const log = () => {};
  return runAssembly({ assemblyDir: writeAssembly(directory, stacks), modules, checks, log });
}

describe('runAssembly', () => {
  test('starts resources with evaluated properties, across stacks of a stage, and gives outputs', async () => {
    const thing = recordingModule('Test::Thing', { attributes: ({ region }) => ({ Address: `${region}.test` }) });
    const assembly = await run(
      {
        Global: {
          dependencies: ['Edge'],
          template: {
            Resources: {
              Reader: {
                Type: 'Test::Thing',
                Properties: {
                  Imported: {
                    'Fn::GetStackOutput': { StackName: 'edge-eu', Region: 'eu-west-1', OutputName: 'Address' },
                  },
                },
              },
            },
          },
        },
        Edge: {
          region: 'eu-west-1',
          stackName: 'edge-eu',
          template: {
            Conditions: { Never: { 'Fn::Equals': ['a', 'b'] } },
            Resources: {
              Service: { Type: 'Test::Thing', Properties: { Cache: { Ref: 'Cache' } } },
              Skipped: { Type: 'Test::Unknown', Condition: 'Never' },
              Cache: { Type: 'Test::Thing' },
              Last: { Type: 'Test::Thing', DependsOn: ['Service'] },
            },
            Outputs: {
              Address: { Value: { 'Fn::GetAtt': ['Service', 'Address'] } },
              Never: { Value: 1, Condition: 'Never' },
            },
          },
        },
      },
      [thing],
    );
    expect(thing.events).toEqual(['start Cache', 'start Service', 'start Last', 'start Reader']);
    expect(thing.started[1]).toMatchObject({ region: 'eu-west-1', properties: { Cache: 'ref-of-Cache' } });
    expect(thing.started[3]).toMatchObject({ region: 'us-east-1', properties: { Imported: 'eu-west-1.test' } });
    expect(assembly.outputs('edge-eu')).toEqual({ Address: 'eu-west-1.test' });
    expect(() => assembly.outputs('edge-eu', 'us-east-1')).toThrow('no stack edge-eu in us-east-1');
    await assembly.stop();
    expect(thing.events.slice(4)).toEqual(['stop Reader', 'stop Last', 'stop Service', 'stop Cache']);
  });

  test('resolves exports of the same region only', async () => {
    const thing = recordingModule('Test::Thing');
    const exporter = (region: string): StackSource => ({
      region,
      template: {
        Resources: { Thing: { Type: 'Test::Thing' } },
        Outputs: { Out: { Value: { Ref: 'Thing' }, Export: { Name: { 'Fn::Sub': `\${AWS::StackName}:Out` } } } },
      },
    });
    const importer: StackSource = {
      dependencies: ['A'],
      template: { Resources: { Reader: { Type: 'Test::Thing', Properties: { V: { 'Fn::ImportValue': 'A:Out' } } } } },
    };
    await run({ B: importer, A: exporter('us-east-1') }, [thing]);
    expect(thing.started.at(-1)?.properties).toEqual({ V: 'ref-of-Thing' });
    await expect(run({ B: importer, A: exporter('eu-west-1') }, [thing])).rejects.toThrow(
      /stack B, resource Reader: Properties\.V\.Fn::ImportValue: no stack .* exports A:Out in us-east-1/,
    );
  });

  test('refuses a resource type nobody runs, naming it and where to add it, before anything starts', async () => {
    const thing = recordingModule('Test::Thing');
    const template = { Resources: { A: { Type: 'Test::Thing' }, B: { Type: 'AWS::Kinesis::Stream' } } };
    await expect(run({ Edge: { template } }, [thing])).rejects.toThrow(
      /stack Edge, resource B: no module runs AWS::Kinesis::Stream; add one under local\//,
    );
    expect(thing.events).toEqual([]);
  });

  test('an attribute that the module does not give is an error that lists those it gives', async () => {
    const thing = recordingModule('Test::Thing', { attributes: () => ({ Arn: 'arn' }) });
    const template = {
      Resources: {
        A: { Type: 'Test::Thing' },
        B: { Type: 'Test::Thing', Properties: { X: { 'Fn::GetAtt': ['A', 'Url'] } } },
      },
    };
    await expect(run({ Edge: { template } }, [thing])).rejects.toThrow(
      'stack Edge, resource B: Properties.X.Fn::GetAtt: A (Test::Thing) has no attribute Url here; its module gives: Arn',
    );
    expect(thing.events).toEqual(['start A', 'stop A']);
  });

  test('a resource that fails stops what had started and is named', async () => {
    const thing = recordingModule('Test::Thing', {
      fail: ({ logicalId }) => (logicalId === 'B' ? new Error('boom') : undefined),
    });
    const template = { Resources: { A: { Type: 'Test::Thing' }, B: { Type: 'Test::Thing', DependsOn: 'A' } } };
    await expect(run({ Edge: { template } }, [thing])).rejects.toThrow('stack Edge, resource B (Test::Thing): boom');
    expect(thing.events).toEqual(['start A', 'stop A']);
  });

  test('findings of the wiring checks end the run', async () => {
    const thing = recordingModule('Test::Thing');
    const template = { Resources: { A: { Type: 'Test::Thing' } } };
    await expect(run({ Edge: { template } }, [thing], [() => ['A cannot reach B'], () => []])).rejects.toThrow(
      'the templates are wired wrongly:\n  - A cannot reach B',
    );
    expect(thing.events).toEqual(['start A', 'stop A']);
  });

  test('a directory without an assembly is refused in one sentence', async () => {
    const options = { assemblyDir: directory, modules: [], log: () => {} };
    await expect(runAssembly(options)).rejects.toThrow(`${directory} is not a readable cloud assembly`);
  });
});
