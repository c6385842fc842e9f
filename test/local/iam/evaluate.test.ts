import fc from 'fast-check';
import { type AccessRequest, decide } from '../../../local/iam/evaluate';
import { type Policy, parsePolicy } from '../../../local/iam/policy';

const ACCOUNT = '000000000000';
const ROLE = `arn:aws:iam::${ACCOUNT}:role/edge`;
const principal = { kind: 'role', account: ACCOUNT, roleArn: ROLE, sessionArn: `${ROLE}/1` } as const;
const ACTIONS = ['s3:GetObject', 's3:PutObject', 'sns:Publish'];
const RESOURCES = ['arn:aws:s3:::b/a', 'arn:aws:s3:::b/ab', 'arn:aws:sns:r:0:t'];

interface Source {
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal?: '*' | Record<string, string | string[]>;
  readonly Action?: string | string[];
  readonly NotAction?: string | string[];
  readonly Resource?: string | string[];
  readonly NotResource?: string | string[];
  readonly Condition?: Record<string, Record<string, string | string[]>>;
}

/** A pattern of one character class after the other, without regular expressions. */
function glob(pattern: string, text: string): boolean {
  const [head, ...rest] = pattern;
  if (head === undefined) return text === '';
  const tail = rest.join('');
  if (head === '*') return glob(tail, text) || (text !== '' && glob(pattern, text.slice(1)));
  return text !== '' && (head === '?' || head === text[0]) && glob(tail, text.slice(1));
}

const some = (patterns: string | string[], text: string) => [patterns].flat().some((pattern) => glob(pattern, text));

/** The rules of "Policy evaluation logic", statement by statement, for a condition on one key. */
function applies(source: Source, action: string, resource: string, secure: string | undefined): boolean {
  const { Action, NotAction, Resource, NotResource, Condition } = source;
  if (
    Action !== undefined &&
    !some(
      [Action].flat().map((a) => a.toLowerCase()),
      action.toLowerCase(),
    )
  )
    return false;
  if (
    NotAction !== undefined &&
    some(
      [NotAction].flat().map((a) => a.toLowerCase()),
      action.toLowerCase(),
    )
  )
    return false;
  if (Resource !== undefined && !some(Resource, resource)) return false;
  if (NotResource !== undefined && some(NotResource, resource)) return false;
  const wanted = Condition?.Bool?.['aws:SecureTransport'];
  return wanted === undefined || [wanted].flat().some((value) => value === secure);
}

const parts = (patterns: readonly string[]) =>
  fc.oneof(fc.constantFrom(...patterns), fc.uniqueArray(fc.constantFrom(...patterns), { minLength: 1, maxLength: 3 }));
const actionPatterns = parts([...ACTIONS, 's3:*', 'S3:Get*', '*', 'sns:Publis?', '?ns:*']);
const resourcePatterns = parts([...RESOURCES, 'arn:aws:s3:::b/*', 'arn:aws:s3:::b/?', '*', 'arn:aws:*:t']);
const statement: fc.Arbitrary<Source> = fc
  .record({
    Effect: fc.constantFrom('Allow' as const, 'Deny' as const),
    notAction: fc.boolean(),
    actions: actionPatterns,
    notResource: fc.boolean(),
    resources: resourcePatterns,
    secure: fc.option(fc.constantFrom('true', 'false', ['true', 'false']), { nil: undefined }),
  })
  .map(({ Effect, notAction, actions, notResource, resources, secure }) => ({
    Effect,
    [notAction ? 'NotAction' : 'Action']: actions,
    [notResource ? 'NotResource' : 'Resource']: resources,
    ...(secure === undefined ? {} : { Condition: { Bool: { 'aws:SecureTransport': secure } } }),
  }));
const named = fc.constantFrom<Source['Principal'] & {}>(
  '*',
  { AWS: '*' },
  { AWS: [ROLE, 'arn:aws:iam::111111111111:role/x'] },
  { AWS: ACCOUNT },
  { AWS: `arn:aws:iam::${ACCOUNT}:root` },
  { Service: 'sns.amazonaws.com' },
);
const resourceStatement = fc.tuple(statement, named).map(([source, Principal]) => ({ ...source, Principal }));

const identityPolicy = (sources: readonly Source[]) =>
  parsePolicy({ Version: '2012-10-17', Statement: sources }, 'identity', 'policy');
const resourcePolicy = (sources: readonly Source[]) =>
  parsePolicy({ Version: '2012-10-17', Statement: sources }, 'resource', 'policy');

function ask(action: string, resource: string, context: AccessRequest['context'] = {}): AccessRequest {
  return { principal, action, resource, context };
}

test('an explicit deny wins, then one allow of either side is enough, otherwise nothing is allowed', () => {
  fc.assert(
    fc.property(
      fc.array(statement, { maxLength: 4 }),
      fc.array(resourceStatement, { maxLength: 3 }),
      fc.constantFrom(...ACTIONS),
      fc.constantFrom(...RESOURCES),
      fc.constantFrom('true', 'false', undefined),
      (identity, resources, action, resource, secure) => {
        const match = ({ Principal }: Source): 'itself' | 'account' | 'none' => {
          if (Principal === '*' || Principal === undefined) return 'itself';
          const names = [Principal.AWS ?? []].flat();
          if (names.includes('*') || names.includes(ROLE)) return 'itself';
          return names.some((name) => name.includes(ACCOUNT)) ? 'account' : 'none';
        };
        const hit = (source: Source) => applies(source, action, resource, secure) && match(source) !== 'none';
        const all = [...identity, ...resources].filter(hit);
        const allows = [...identity, ...resources.filter((source) => match(source) === 'itself')]
          .filter(hit)
          .some(({ Effect }) => Effect === 'Allow');
        const denies = all.some(({ Effect }) => Effect === 'Deny');
        const expected = denies ? 'explicitly denied' : allows ? 'allowed' : 'not allowed';
        const context: Record<string, string> = secure === undefined ? {} : { 'aws:securetransport': secure };
        const decision = decide(ask(action, resource, context), [identityPolicy(identity)], resourcePolicy(resources));
        expect(decision).toBe(expected);
      },
    ),
    { numRuns: 1_000 },
  );
});

test('more statements that deny never allow more, and the order of statements is nothing', () => {
  const allowed = (policies: Policy[], action: string, resource: string) =>
    decide(ask(action, resource, { 'aws:securetransport': 'true' }), policies) === 'allowed';
  fc.assert(
    fc.property(
      fc.array(statement, { minLength: 1, maxLength: 5 }),
      statement,
      fc.constantFrom(...ACTIONS),
      fc.constantFrom(...RESOURCES),
      (sources, extra, action, resource) => {
        const before = allowed([identityPolicy(sources)], action, resource);
        expect(allowed([identityPolicy([...sources].reverse())], action, resource)).toBe(before);
        const denied = allowed([identityPolicy([{ ...extra, Effect: 'Deny' }, ...sources])], action, resource);
        expect(denied && !before).toBe(false);
      },
    ),
  );
});

const allow = (Condition: NonNullable<Source['Condition']>): Policy =>
  identityPolicy([{ Effect: 'Allow', Action: '*', Resource: '*', Condition }]);
const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:control';

test.each([
  ['StringEquals', { StringEquals: { 'aws:SourceAccount': ACCOUNT } }, { 'aws:sourceaccount': ACCOUNT }, true],
  ['another case of the key', { StringEquals: { 'AWS:sourceaccount': 'x' } }, { 'aws:sourceaccount': 'x' }, true],
  ['another case of the value', { StringEquals: { 'aws:SourceAccount': 'X' } }, { 'aws:sourceaccount': 'x' }, false],
  ['no such key', { StringEquals: { 'aws:SourceAccount': ACCOUNT } }, {}, false],
  ['no such key, IfExists', { StringEqualsIfExists: { 'aws:SourceAccount': ACCOUNT } }, {}, true],
  ['a negation without the key', { StringNotEquals: { 'aws:SourceAccount': ACCOUNT } }, {}, true],
  [
    'a negation of any value',
    { StringNotEquals: { 'aws:SourceAccount': ['a', 'b'] } },
    { 'aws:sourceaccount': 'b' },
    false,
  ],
  ['StringLike', { StringLike: { 'aws:SourceArn': 'arn:*:control' } }, { 'aws:sourcearn': TOPIC }, true],
  [
    'ArnLike part by part',
    { ArnLike: { 'aws:SourceArn': 'arn:aws:sns:*:000000000000:c*' } },
    { 'aws:sourcearn': TOPIC },
    true,
  ],
  ['ArnLike over a colon', { ArnLike: { 'aws:SourceArn': 'arn:*:control' } }, { 'aws:sourcearn': TOPIC }, false],
  ['NumericLessThan', { NumericLessThan: { 's3:TlsVersion': '1.2' } }, { 's3:tlsversion': '1.3' }, false],
  [
    'every operator must hold',
    { Bool: { 'aws:SecureTransport': 'true' }, StringEquals: { 'aws:SourceAccount': 'x' } },
    { 'aws:securetransport': 'true', 'aws:sourceaccount': 'y' },
    false,
  ],
] as [string, NonNullable<Source['Condition']>, Record<string, string>, boolean][])(
  'condition: %s',
  (_, condition, context, holds) => {
    expect(decide(ask('s3:GetObject', '*', context), [allow(condition)])).toBe(holds ? 'allowed' : 'not allowed');
  },
);

describe('a policy that could not be evaluated is refused when it is read', () => {
  const base = { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' };
  const read = (source: object, kind: 'identity' | 'resource' | 'trust' = 'identity') =>
    parsePolicy({ Version: '2012-10-17', Statement: [source] }, kind, 'policy tasks');

  test.each([
    ['NotPrincipal', { ...base, NotPrincipal: '*' }, /NotPrincipal/],
    [
      'an operator',
      { ...base, Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } },
      /operator IpAddress; understood are StringEquals/,
    ],
    ['a set operator', { ...base, Condition: { 'ForAnyValue:StringEquals': { 'aws:SourceArn': 'x' } } }, /ForAnyValue/],
    ['a key', { ...base, Condition: { StringEquals: { 'aws:CalledVia': 'x' } } }, /key aws:CalledVia; understood are/],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: IAM's own placeholder
    ['a policy variable', { ...base, Resource: 'arn:aws:s3:::b/${aws:username}' }, /variable \$\{aws:username\}/],
    ['a principal of an identity', { ...base, Principal: '*' }, /policy of an identity has no Principal/],
    ['both of Action and NotAction', { ...base, NotAction: 's3:*' }, /either Action or NotAction/],
    ['neither resource', { Effect: 'Allow', Action: 's3:GetObject' }, /either Resource or NotResource/],
  ])('%s', (_, source, message) => {
    expect(() => read(source)).toThrow(message);
    expect(() => read(source)).toThrow('policy tasks');
  });

  test('of resources and of trust', () => {
    expect(() => read(base, 'resource')).toThrow('Principal is missing');
    expect(() => read({ ...base, Principal: { Federated: 'x' } }, 'resource')).toThrow('principal kind Federated');
    expect(() => read({ ...base, Principal: '*' }, 'trust')).toThrow('a trust policy has no Resource');
  });
});
