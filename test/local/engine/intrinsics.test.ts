import { type EvaluationScope, Evaluator } from '../../../local/engine/intrinsics';
import { Template } from '../../../local/engine/template';

function evaluator(sections: object = {}): Evaluator {
  const template = Template.parse({
    Resources: { Topic: { Type: 'T' }, Group: { Type: 'G' } },
    Parameters: {
      Size: { Type: 'Number', Default: 3 },
      Names: { Type: 'CommaDelimitedList', Default: 'a, b' },
      Missing: { Type: 'String' },
      Version: { Type: 'AWS::SSM::Parameter::Value<String>', Default: '/bootstrap' },
    },
    Mappings: { Regions: { 'us-east-1': { code: 'use1' } } },
    Conditions: {
      Yes: { 'Fn::Equals': ['a', 'a'] },
      No: { 'Fn::Equals': [{ Ref: 'AWS::Region' }, 'eu-west-1'] },
      Both: { 'Fn::And': [{ Condition: 'Yes' }, { 'Fn::Not': [{ Condition: 'No' }] }] },
      Either: { 'Fn::Or': [{ Condition: 'No' }, { Condition: 'Yes' }] },
    },
    ...sections,
  });
  const refs = new Map([
    ['Topic', 'arn:topic'],
    ['Group', 'group-1'],
  ]);
  const scope: EvaluationScope = {
    stackName: 'edge',
    stackId: 'arn:stack/edge',
    account: '000000000000',
    region: 'us-east-1',
    template,
    ref: (logicalId) => refs.get(logicalId),
    attribute: (logicalId, name) => {
      if (logicalId === 'Group' && name === 'Endpoint.Port') return 6379;
      throw new Error(`${logicalId} has no attribute ${name}`);
    },
    importValue: (name) => {
      if (name === 'shared') return 'imported';
      throw new Error(`no stack exports ${name}`);
    },
    stackOutput: (stackName, region, outputName) => `${stackName}/${region}/${outputName}`,
    secret: (name) => (name === 'key' ? 's3cret' : undefined),
    systemParameter: (name) => (name === '/bootstrap' ? '6' : undefined),
  };
  return new Evaluator(scope);
}

const resolved: [name: string, input: unknown, expected: unknown][] = [
  ['plain values', { a: [1, true, 'x', null] }, { a: [1, true, 'x', null] }],
  ['Ref of a resource', { Ref: 'Topic' }, 'arn:topic'],
  ['Ref of a parameter', { Ref: 'Size' }, 3],
  ['Ref of a list parameter', { Ref: 'Names' }, ['a', 'b']],
  ['Ref of a Systems Manager parameter', { Ref: 'Version' }, '6'],
  ['AWS::Region', { Ref: 'AWS::Region' }, 'us-east-1'],
  ['AWS::AccountId', { Ref: 'AWS::AccountId' }, '000000000000'],
  ['AWS::Partition', { Ref: 'AWS::Partition' }, 'aws'],
  ['AWS::URLSuffix', { Ref: 'AWS::URLSuffix' }, 'amazonaws.com'],
  ['AWS::StackName', { Ref: 'AWS::StackName' }, 'edge'],
  ['AWS::StackId', { Ref: 'AWS::StackId' }, 'arn:stack/edge'],
  ['AWS::NoValue in an object', { a: { Ref: 'AWS::NoValue' }, b: 1 }, { b: 1 }],
  ['AWS::NoValue in a list', [{ Ref: 'AWS::NoValue' }, 1], [1]],
  ['Fn::GetAtt as a list', { 'Fn::GetAtt': ['Group', 'Endpoint.Port'] }, 6379],
  ['Fn::GetAtt as text', { 'Fn::GetAtt': 'Group.Endpoint.Port' }, 6379],
  [
    'Fn::Sub',
    { 'Fn::Sub': `redis://\${Group}:\${Group.Endpoint.Port}/\${AWS::Region}` },
    'redis://group-1:6379/us-east-1',
  ],
  ['Fn::Sub with variables', { 'Fn::Sub': [`\${x}-\${Topic}`, { x: { Ref: 'Size' } }] }, '3-arn:topic'],
  ['Fn::Sub with a literal', { 'Fn::Sub': `\${!Literal}` }, `\${Literal}`],
  ['Fn::Join', { 'Fn::Join': [':', ['a', { Ref: 'Size' }, { Ref: 'Group' }]] }, 'a:3:group-1'],
  ['Fn::Join over a function', { 'Fn::Join': ['+', { 'Fn::Split': [',', 'a,b'] }] }, 'a+b'],
  ['Fn::Split', { 'Fn::Split': ['|', 'a|b|c'] }, ['a', 'b', 'c']],
  ['Fn::Select', { 'Fn::Select': ['1', { 'Fn::GetAZs': '' }] }, 'us-east-1b'],
  ['Fn::GetAZs', { 'Fn::GetAZs': 'eu-west-1' }, ['eu-west-1a', 'eu-west-1b', 'eu-west-1c']],
  ['Fn::FindInMap', { 'Fn::FindInMap': ['Regions', { Ref: 'AWS::Region' }, 'code'] }, 'use1'],
  ['Fn::FindInMap with a default', { 'Fn::FindInMap': ['Regions', 'x', 'code', { DefaultValue: 'none' }] }, 'none'],
  ['Fn::If, true', { 'Fn::If': ['Both', 'yes', 'no'] }, 'yes'],
  ['Fn::If, false', { 'Fn::If': ['No', 'yes', { Ref: 'Size' }] }, 3],
  ['Fn::If without a value', { a: { 'Fn::If': ['No', 1, { Ref: 'AWS::NoValue' }] } }, {}],
  ['Fn::If over Fn::Or', { 'Fn::If': ['Either', 'yes', 'no'] }, 'yes'],
  ['Fn::ImportValue', { 'Fn::ImportValue': { 'Fn::Join': ['', ['sha', 'red']] } }, 'imported'],
  [
    'Fn::GetStackOutput',
    { 'Fn::GetStackOutput': { StackName: 'arn:aws:cloudformation:r:0:stack/home/id', OutputName: 'Url' } },
    'home/us-east-1/Url',
  ],
  [
    'Fn::GetStackOutput elsewhere',
    { 'Fn::GetStackOutput': { StackName: 'home', OutputName: 'Url', Region: 'eu-west-1' } },
    'home/eu-west-1/Url',
  ],
  ['Fn::Base64', { 'Fn::Base64': 'mlcdn' }, 'bWxjZG4='],
  ['Fn::Cidr', { 'Fn::Cidr': ['10.0.0.0/22', 3, 8] }, ['10.0.0.0/24', '10.0.1.0/24', '10.0.2.0/24']],
  ['Fn::Length', { 'Fn::Length': [1, 2] }, 2],
  ['Fn::ToJsonString', { 'Fn::ToJsonString': { a: { Ref: 'Size' } } }, '{"a":3}'],
  ['a secret', '{{resolve:secretsmanager:key:SecretString:::}}', 's3cret'],
  ['a dynamic reference', 'v{{resolve:ssm:/bootstrap}}', 'v6'],
  [
    'a policy condition, which is no function',
    { Condition: { Bool: { 'aws:SecureTransport': 'false' } } },
    { Condition: { Bool: { 'aws:SecureTransport': 'false' } } },
  ],
];

const refused: [name: string, input: unknown, message: RegExp][] = [
  ['an unknown function', { a: { 'Fn::Transform': {} } }, /^P\.a: the function Fn::Transform is not known/],
  [
    'an unknown Ref',
    { a: [{ Ref: 'Nobody' }] },
    /^P\.a\[0\]\.Ref: Nobody is neither a parameter nor a started resource/,
  ],
  ['a parameter without a value', { Ref: 'Missing' }, /parameter Missing has no default/],
  ['an unknown attribute', { 'Fn::GetAtt': ['Topic', 'Nope'] }, /^P\.Fn::GetAtt: Topic has no attribute Nope/],
  ['an attribute of nothing', { 'Fn::GetAtt': ['Nobody', 'Arn'] }, /Nobody is not a started resource/],
  ['an unknown name in Fn::Sub', { 'Fn::Sub': `x\${Nobody}` }, /Nobody is neither/],
  ['a list in Fn::Sub', { 'Fn::Sub': `\${Names}` }, /cannot be used as a string/],
  ['an index outside the list', { 'Fn::Select': [5, ['a']] }, /index 5 is outside a list of 1/],
  ['an unknown mapping key', { 'Fn::FindInMap': ['Regions', 'x', 'code'] }, /no Regions\.x\.code/],
  ['an unknown condition', { 'Fn::If': ['Nope', 1, 2] }, /condition Nope is not defined/],
  ['an unknown export', { 'Fn::ImportValue': 'nope' }, /no stack exports nope/],
  ['a secret without its field', '{{resolve:secretsmanager:x}}', /must name a secret and SecretString/],
  ['an unknown secret', '{{resolve:secretsmanager:x:SecretString:::}}', /no secret x/],
  ['another service', '{{resolve:ssm-secure:x}}', /cannot be resolved here/],
  ['an unknown Systems Manager parameter', '{{resolve:ssm:/nope:1}}', /no parameter \/nope/],
  ['a block that is too small', { 'Fn::Cidr': ['10.0.0.0/24', 3, 8] }, /does not hold 3 blocks/],
  ['AWS::NoValue in a text', { 'Fn::Join': ['', [{ a: 1 }]] }, /cannot be used as a string/],
];

describe('Evaluator', () => {
  test.each(resolved)('resolves %s', (_, input, expected) => {
    expect(evaluator().value(input, 'P')).toEqual(expected);
  });

  test.each(refused)('refuses %s and says where', (_, input, message) => {
    expect(() => evaluator().value(input, 'P')).toThrow(message);
  });

  test('finds references in every form, and only in the branch that is taken', () => {
    const references = (input: unknown) => [...evaluator().references(input, 'P')].sort();
    expect(references({ a: [{ Ref: 'Topic' }], b: { 'Fn::GetAtt': ['Group', 'X'] } })).toEqual(['Group', 'Topic']);
    expect(references({ 'Fn::Sub': `\${Topic}/\${Group.Endpoint.Port}/\${!Topic}/\${AWS::Region}` })).toEqual([
      'Group',
      'Topic',
    ]);
    expect(references({ 'Fn::Sub': [`\${Topic}`, { Topic: { Ref: 'Group' } }] })).toEqual(['Group']);
    expect(references({ 'Fn::If': ['Yes', { Ref: 'Topic' }, { Ref: 'Group' }] })).toEqual(['Topic']);
    expect(references({ Ref: 'Size' })).toEqual([]);
  });

  test('refuses a template section that would change its meaning', () => {
    expect(() => evaluator({ Transform: 'AWS::Serverless-2016-10-31' })).toThrow(/Transform/);
  });
});
