import fc from 'fast-check';
import { parseTritonConfig, parseTritonConfigJson } from '../../../../containers/edge/inference/model-settings';
import { RefusedModel } from '../../../../containers/edge/inference/refused-model';
import { parseTextFormat } from '../../../../containers/edge/inference/triton-config';
import {
  policyText,
  selectVersions,
  type VersionPolicy,
  VersionPolicyText,
} from '../../../../containers/edge/inference/version-policy';

describe('config.pbtxt', () => {
  it('as Triton ships it', () => {
    const text = `
      name: "simple"  # the model
      platform: "onnxruntime_onnx"
      max_batch_size: 8
      input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: 'INPUT1', dims: 16; dims: -1 } ]
      instance_group < count: 2 kind: KIND_CPU >
      dynamic_batching { preferred_batch_size: [ 4, 8 ] }
      version_policy: { latest { num_versions: 2 } }
    `;
    expect(parseTritonConfig(text)).toEqual({ maxBatchSize: 8, versionPolicy: { kind: 'latest', count: 2 } });
  });

  it.each([
    ['', {}],
    ['version_policy { all { } }', { versionPolicy: { kind: 'all' } }],
    ['version_policy { latest { } }', { versionPolicy: { kind: 'latest', count: 1 } }],
    ['version_policy { specific { versions: [1, 3] } }', { versionPolicy: { kind: 'specific', versions: ['1', '3'] } }],
    [
      'version_policy { specific { versions: 1 versions: 3 } }',
      { versionPolicy: { kind: 'specific', versions: ['1', '3'] } },
    ],
    ['max_batch_size: 0', { maxBatchSize: 0 }],
  ])('%j', (text, settings) => {
    expect(parseTritonConfig(text)).toEqual(settings);
  });

  it.each([
    ['max_batch_size: -1', 'config.pbtxt max_batch_size: must be a whole number from 0 to 999999999'],
    ['max_batch_size: 2.5', 'config.pbtxt max_batch_size: must be a whole number from 0 to 999999999'],
    [
      'version_policy { latest { num_versions: 0 } }',
      'config.pbtxt version_policy.latest.num_versions: must be at least 1',
    ],
    ['version_policy { }', 'config.pbtxt version_policy: must be one of all, latest and specific'],
    ['a: [1', 'config.pbtxt line 1: expected "," or "]", got the end'],
    ['a: 1\nb {', 'config.pbtxt line 2: expected the name of a field, got the end'],
    ['a: 1\n}', 'config.pbtxt line 2: expected the name of a field, got "}"'],
    ['a }', 'config.pbtxt line 1: expected ":" or "{", got "}"'],
    ['a: "b', 'config.pbtxt line 1: "\\"b" is no token'],
  ])('refuses %j', (text, message) => {
    expect(() => parseTritonConfig(text)).toThrow(RefusedModel);
    expect(() => parseTritonConfig(text)).toThrow(message);
  });

  it('is read or refused, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab:{}[]<>,;"\'\\ \n#1-') }), (text) => {
        try {
          expect(parseTextFormat(text)).toBeInstanceOf(Map);
        } catch (error) {
          expect((error as Error).message).toMatch(/^line \d+: /);
        }
      }),
    );
  });
});

it('reads a configuration as JSON, where numbers may be texts', () => {
  expect(parseTritonConfigJson('{"max_batch_size":"16","name":"x"}')).toEqual({ maxBatchSize: 16 });
  expect(parseTritonConfigJson('{"version_policy":{"specific":{"versions":[1,"2"]}}}')).toEqual({
    versionPolicy: { kind: 'specific', versions: ['1', '2'] },
  });
  expect(() => parseTritonConfigJson('[')).toThrow(/^is not JSON: /);
});

describe('a version policy', () => {
  it.each([
    ['all', { kind: 'all' }],
    ['latest', { kind: 'latest', count: 1 }],
    ['latest:3', { kind: 'latest', count: 3 }],
    ['specific:1,v2', { kind: 'specific', versions: ['1', 'v2'] }],
  ])('is written %s', (text, policy) => {
    const parsed = VersionPolicyText.parse(text);
    expect(parsed).toEqual(policy);
    expect(VersionPolicyText.parse(policyText(parsed))).toEqual(policy);
  });

  it.each(['', 'newest', 'latest:0', 'latest:x', 'latest:1:2', 'specific', 'specific:', 'specific:a b', 'all:1'])(
    'is not written %j',
    (text) => {
      expect(VersionPolicyText.safeParse(text).error?.issues[0]?.message).toBe(
        'must be all, latest, latest:N or specific:VERSION,VERSION...',
      );
    },
  );

  it('selects by the order of numbers', () => {
    const versions = ['10', '9', '1'];
    const select = (policy: VersionPolicy) => selectVersions(policy, versions);
    expect(select({ kind: 'all' })).toEqual(['1', '9', '10']);
    expect(select({ kind: 'latest', count: 2 })).toEqual(['9', '10']);
    expect(select({ kind: 'specific', versions: ['9', '4'] })).toEqual(['9']);
  });
});
