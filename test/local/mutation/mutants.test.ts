import { mutantsOf, type SourceTemplate } from '../../../local/mutation/mutants';

const statement = (Action: string | string[]) => ({ Effect: 'Allow', Action, Resource: '*' });

function edge(region: string): SourceTemplate {
  const Resources = {
    Group: { Type: 'AWS::EC2::SecurityGroup', Properties: { SecurityGroupEgress: [{ CidrIp: '0.0.0.0/0' }] } },
    Rule: { Type: 'AWS::EC2::SecurityGroupIngress', Properties: { GroupId: { Ref: 'Group' } } },
    Policy: {
      Type: 'AWS::IAM::Policy',
      Properties: {
        PolicyDocument: { Statement: [statement(['s3:GetObject', 's3:ListBucket']), statement('sns:Publish')] },
      },
    },
    Function: {
      Type: 'AWS::Lambda::Function',
      Properties: { Environment: { Variables: { REGION: region, LOG: 'info' } } },
      DependsOn: ['Policy', 'Rule'],
    },
    Task: {
      Type: 'AWS::ECS::TaskDefinition',
      Properties: {
        ContainerDefinitions: [
          {
            Environment: [
              { Name: 'PORT', Value: '1' },
              { Name: 'HOST', Value: 'x' },
            ],
          },
        ],
      },
    },
    Subscription: { Type: 'AWS::SNS::Subscription' },
    Permission: { Type: 'AWS::Lambda::Permission' },
  };
  return { file: `${region}.template.json`, stackName: `edge${region.replaceAll('-', '')}`, content: { Resources } };
}

const REGIONS = ['us-east-1', 'eu-west-1'];
const mutants = mutantsOf(REGIONS.map(edge), REGIONS);
const mutant = (gone: string) => {
  const found = mutants.find((candidate) => candidate.gone.includes(gone));
  if (!found) throw new Error(`no mutant lacks ${gone}`);
  return found;
};

test('one thing is gone from each, once over all regions', () => {
  expect(mutants.map(({ kind, gone }) => [kind, gone])).toEqual([
    ['security-group', 'SecurityGroupEgress[0] of Group'],
    ['security-group', 'EC2::SecurityGroupIngress Rule'],
    ['iam', 'Allow s3:GetObject of Policy'],
    ['iam', 'Allow s3:ListBucket of Policy'],
    ['iam', 'Allow sns:Publish of Policy'],
    ['environment', 'REGION of Function'],
    ['environment', 'LOG of Function'],
    ['environment', 'PORT of Task'],
    ['environment', 'HOST of Task'],
    ['subscription', 'SNS::Subscription Subscription'],
    ['permission', 'Lambda::Permission Permission'],
  ]);
  expect(new Set(mutants.map(({ id }) => id)).size).toBe(mutants.length);
});

test('an action leaves its statement, the only action takes the statement with it', () => {
  const document = (gone: string) => mutant(gone).content.Resources.Policy?.Properties?.PolicyDocument;
  expect(document('s3:GetObject')).toEqual({ Statement: [statement(['s3:ListBucket']), statement('sns:Publish')] });
  expect(document('sns:Publish')).toEqual({ Statement: [statement(['s3:GetObject', 's3:ListBucket'])] });
});

test('a resource goes with the dependencies on it, everything else stays', () => {
  const { Resources } = mutant('Rule').content;
  expect(Resources.Rule).toBeUndefined();
  expect(Resources.Function?.DependsOn).toEqual(['Policy']);
  const { content } = edge('us-east-1');
  expect(Resources.Task).toEqual(content.Resources.Task);
});
