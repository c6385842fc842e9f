import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { iamStatements } from '../../lib/checks/iam-statements';
import { runtimePermissions } from '../../lib/checks/runtime-permissions';
import { serviceRoles } from '../../lib/checks/service-roles';
import type { Stack } from '../../local/engine/assembly';
import { expectEachCaught, findings, inEdge, inGlobal, synthesized } from './breaking';

const stacks = synthesized('prod', ['us-east-1', 'eu-west-1']);

const POLICY = 'AWS::IAM::Policy';
const TASK_ROLE = /^EdgeTaskTaskRole/;
const statement = (index: number, field: string) => `Properties.PolicyDocument.Statement.${index}.${field}`;

/** The templates with other code behind the scores' function. */
function withCode(edit: (directory: string) => void, run: (stacks: readonly Stack[]) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'infra-code-'));
  const changed = stacks.map((stack) => {
    if (!stack.id.includes('global')) return stack;
    const [, scores] =
      Object.entries(stack.template.Resources).find(
        ([id, { Type }]) => Type === 'AWS::Lambda::Function' && id.startsWith('RegionScores'),
      ) ?? [];
    if (!scores) throw new Error('the global stack has no function RegionScores');
    const { S3Key } = scores.Properties.Code as { S3Key: string };
    cpSync(stack.assets.fileByObjectKey(S3Key), directory, { recursive: true });
    const fileByObjectKey = (key: string) => (key === S3Key ? directory : stack.assets.fileByObjectKey(key));
    return { ...stack, assets: { ...stack.assets, fileByObjectKey } };
  });
  edit(directory);
  return run(changed).finally(() => rmSync(directory, { recursive: true }));
}

describe('iam-statements', () => {
  expectEachCaught(stacks, iamStatements, [
    [
      'a misspelt action',
      inEdge(POLICY, TASK_ROLE, statement(0, 'Action'), 's3:GetObjects'),
      /no action is called s3:GetObjects/,
    ],
    ['a service that is none', inEdge(POLICY, TASK_ROLE, statement(0, 'Action'), 's4:GetObject'), /s4:GetObject/],
    ['a pattern without actions', inEdge(POLICY, TASK_ROLE, statement(0, 'Action'), 's3:Fetch*'), /s3:Fetch\*/],
    [
      'an action of buckets on objects',
      inEdge(POLICY, TASK_ROLE, statement(1, 'Resource'), 'arn:aws:s3:::bucket/*'),
      /s3:ListBucket never applies to arn:aws:s3:::bucket\/\*/,
    ],
    [
      'an action of objects on a bucket',
      inEdge(POLICY, TASK_ROLE, statement(0, 'Resource'), 'arn:aws:s3:::bucket'),
      /s3:GetObject never applies/,
    ],
    [
      'an action without resources on one',
      inEdge(POLICY, /ExecutionRole/, statement(1, 'Resource'), 'arn:aws:ecr:eu-west-1:777788889999:repository/x'),
      /ecr:GetAuthorizationToken never applies/,
    ],
    [
      'a misspelt condition key',
      {
        stack: 'models-eu-west-1',
        type: 'AWS::S3::BucketPolicy',
        path: statement(0, 'Condition'),
        to: { Bool: { 'aws:SecureTransprt': 'false' } },
      },
      /no condition key is called aws:SecureTransprt/,
    ],
    [
      'a statement about everything else',
      inEdge(POLICY, TASK_ROLE, 'Properties.PolicyDocument.Statement.0.NotResource', 'arn:aws:s3:::bucket/*'),
      /what it is not about/,
    ],
    [
      'a misspelt action of a trust policy',
      inEdge('AWS::IAM::Role', TASK_ROLE, 'Properties.AssumeRolePolicyDocument.Statement.0.Action', 'sts:Assume'),
      /sts:Assume/,
    ],
  ]);
});

describe('runtime-permissions', () => {
  expectEachCaught(stacks, runtimePermissions, [
    [
      'a task that may not read models',
      inEdge(POLICY, TASK_ROLE, statement(0, 'Action'), 's3:GetObjectTagging'),
      /may not s3:GetObject on .*models/,
    ],
    [
      'a task that may not list',
      inEdge(POLICY, TASK_ROLE, 'Properties.PolicyDocument.Statement.1'),
      /may not s3:ListBucket/,
    ],
    [
      'channels out of reach',
      inEdge(POLICY, TASK_ROLE, statement(0, 'Resource'), [
        'arn:aws:s3:::mlcdn-prod-models-777788889999-eu-west-1-an/models/*',
      ]),
      /may not s3:GetObject on .*channels/,
    ],
    [
      "another region's bucket",
      inEdge(POLICY, TASK_ROLE, statement(1, 'Resource'), 'arn:aws:s3:::mlcdn-prod-models-777788889999-us-east-1-an'),
      /allows s3:ListBucket on .*us-east-1-an; nothing uses it/,
    ],
    [
      "another region's bucket beside its own",
      inEdge(POLICY, TASK_ROLE, statement(1, 'Resource'), [
        'arn:aws:s3:::mlcdn-prod-models-777788889999-eu-west-1-an',
        'arn:aws:s3:::mlcdn-prod-models-777788889999-us-east-1-an',
      ]),
      /on arn:aws:s3:::mlcdn-prod-models-777788889999-us-east-1-an; nothing names that/,
    ],
    [
      'a task that may not protect itself',
      inEdge(POLICY, TASK_ROLE, 'Properties.PolicyDocument.Statement.2'),
      /may not ecs:UpdateTaskProtection on .*:task\/mlcdn-prod-edge\/id, but it asks the ECS agent/,
    ],
    [
      'a task that may protect tasks of another cluster',
      inEdge(POLICY, TASK_ROLE, statement(2, 'Resource'), 'arn:aws:ecs:eu-west-1:777788889999:task/other/*'),
      /may not ecs:UpdateTaskProtection/,
    ],
    [
      'a task that may protect tasks of any cluster',
      inEdge(POLICY, TASK_ROLE, statement(2, 'Resource'), [
        'arn:aws:ecs:eu-west-1:777788889999:task/mlcdn-prod-edge/*',
        'arn:aws:ecs:eu-west-1:777788889999:task/other/*',
      ]),
      /on arn:aws:ecs:eu-west-1:777788889999:task\/other\/\*; nothing names that/,
    ],
    [
      'a task that may look at protections, which it does not',
      inEdge(POLICY, TASK_ROLE, statement(2, 'Action'), ['ecs:UpdateTaskProtection', 'ecs:GetTaskProtection']),
      /allows ecs:GetTaskProtection/,
    ],
    [
      'a task that may not log in',
      inEdge(POLICY, TASK_ROLE, 'Properties.PolicyDocument.Statement.3'),
      /may not elasticache:Connect/,
    ],
    [
      'a function that may log in as another user only',
      inEdge(
        POLICY,
        /StatusRole/,
        statement(0, 'Resource.1'),
        'arn:aws:elasticache:eu-west-1:777788889999:user:mlcdn-prod-edge',
      ),
      /may not elasticache:Connect on .*user:mlcdn-prod-control/,
    ],
    [
      'more than is called',
      inEdge(POLICY, TASK_ROLE, statement(0, 'Action'), ['s3:GetObject', 's3:PutObject']),
      /allows s3:PutObject/,
    ],
    ['a wildcard of actions', inEdge(POLICY, TASK_ROLE, statement(0, 'Action'), 's3:*'), /allows s3:DeleteObject on/],
    ['a denied call', inEdge(POLICY, TASK_ROLE, statement(0, 'Effect'), 'Deny'), /may not s3:GetObject/],
    [
      'failed events that go nowhere',
      inEdge(POLICY, /InvalidationRole/, 'Properties.PolicyDocument.Statement.1'),
      /may not sqs:SendMessage/,
    ],
    [
      'no network interface',
      inEdge('AWS::IAM::Role', /StatusRole/, 'Properties.ManagedPolicyArns', []),
      /may not ec2:CreateNetworkInterface/,
    ],
    [
      'the right to network interfaces outside a VPC',
      inGlobal('AWS::IAM::Role', 'Properties.ManagedPolicyArns', [
        'arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole',
      ]),
      /which it does not need/,
    ],
    [
      'a role of nobody',
      inEdge('AWS::Lambda::Function', /Status/, 'Properties.Role', 'arn:aws:iam::777788889999:role/other'),
      /role\/other is not in its stack/,
    ],
  ]);

  test('a key of the store that the function may not write', async () => {
    const found = await findings(runtimePermissions, stacks, {
      stack: 'global',
      type: POLICY,
      named: /RegionScores/,
      path: 'Properties.PolicyDocument.Statement',
      to: [],
    });
    const problems = found.map(({ problem }) => problem);
    for (const action of ['cloudfront-keyvaluestore:UpdateKeys', 'lambda:InvokeFunction', 'logs:PutLogEvents']) {
      expect(problems).toContainEqual(expect.stringContaining(`may not ${action}`));
    }
  });

  test.each([
    ['modify rules', /ModifyRule/, /elasticloadbalancing:ModifyRule on .*eu-west-1.*app\/mlcdn-prod-edge/],
    [
      'update the distribution',
      /UpdateDistribution/,
      /cloudfront:UpdateDistribution on .*distribution\/<EdgeDistribution/,
    ],
    ['read replicas', /GetSecretValue/, /secretsmanager:GetSecretValue on .*eu-west-1.*origin-key-second/],
    ['make a key current', /UpdateSecretVersionStage/, /secretsmanager:UpdateSecretVersionStage on .*origin-key-first/],
  ])('a rotation that may not %s', async (_, action, says) => {
    const changed = stacks.map((stack) => ({ ...stack, template: structuredClone(stack.template) }));
    const global = changed.find(({ id }) => id.includes('global'));
    const [, policy] =
      Object.entries(global?.template.Resources ?? {}).find(
        ([id, { Type }]) => Type === POLICY && id.startsWith('OriginKeyRotation'),
      ) ?? [];
    const document = policy?.Properties.PolicyDocument as { Statement: { Action: unknown }[] };
    document.Statement = document.Statement.filter(({ Action }) => !action.test(JSON.stringify(Action)));
    const problems = (await findings(runtimePermissions, changed)).map(({ problem }) => problem);
    expect(problems).toContainEqual(expect.stringMatching(says));
  });

  test('a call that the code newly makes', () =>
    withCode(
      (directory) =>
        writeFileSync(
          join(directory, 'index.js'),
          '// lambda/region-scores/handler.ts\nclient.send(new import_client_s3.PutObjectCommand({}));\n' +
            'client.send(new import_client_iam.CreateUserCommand({}));\n// node_modules/x/y.js\nnew DeleteObjectCommand();\n',
        ),
      async (changed) => {
        const problems = (await findings(runtimePermissions, changed)).map(({ problem }) => problem);
        expect(problems).toContainEqual(expect.stringContaining('may not s3:PutObject'));
        expect(problems).toContainEqual(
          expect.stringContaining('calls CreateUserCommand, whose permission is not known'),
        );
        expect(problems.join('\n')).not.toContain('DeleteObject');
      },
    ));

  test('a signature that the code cannot make', () =>
    withCode(
      (directory) => {
        const file = join(directory, 'index.js');
        const code = readFileSync(file, 'utf8').replaceAll('// node_modules/@aws-sdk/signature-v4a/', '// ');
        writeFileSync(file, code);
      },
      async (changed) => {
        const problems = (await findings(runtimePermissions, changed)).map(({ problem }) => problem);
        expect(problems).toEqual([expect.stringMatching(/UpdateKeysCommand, which it cannot sign/)]);
      },
    ));
});

describe('service-roles', () => {
  const REPLICATION = { stack: 'models-us-east-1', type: POLICY } as const;
  const TRUSTS = 'Properties.AssumeRolePolicyDocument.Statement.0.Principal.Service';
  expectEachCaught(stacks, serviceRoles, [
    [
      'an image that cannot be pulled',
      inEdge(POLICY, /ExecutionRole/, 'Properties.PolicyDocument.Statement.0'),
      /ExecutionRole\w+ may not ecr:BatchGetImage/,
    ],
    [
      'a log that cannot be written',
      inEdge(POLICY, /ExecutionRole/, 'Properties.PolicyDocument.Statement.2'),
      /ExecutionRole\w+ may not logs:PutLogEvents/,
    ],
    [
      'a log that could be deleted',
      inEdge(POLICY, /ExecutionRole/, statement(2, 'Action'), [
        'logs:CreateLogStream',
        'logs:PutLogEvents',
        'logs:DeleteLogStream',
      ]),
      /allows logs:DeleteLogStream/,
    ],
    [
      'flow logs that cannot be written',
      inEdge(POLICY, /RejectedTraffic/, statement(0, 'Action'), ['logs:CreateLogStream', 'logs:PutLogEvents']),
      /may not logs:DescribeLogStreams/,
    ],
    [
      'replicas that cannot be written',
      { ...REPLICATION, path: statement(2, 'Resource'), to: 'arn:aws:s3:::elsewhere/*' },
      /may not s3:ReplicateObject/,
    ],
    [
      'replicas with another owner',
      {
        ...REPLICATION,
        path: statement(2, 'Action'),
        to: ['s3:ReplicateDelete', 's3:ReplicateObject', 's3:ReplicateTags', 's3:ObjectOwnerOverrideToBucketOwner'],
      },
      /allows s3:ObjectOwnerOverrideToBucketOwner/,
    ],
    [
      "a program's role that another service may assume",
      inEdge('AWS::IAM::Role', TASK_ROLE, TRUSTS, 'lambda.amazonaws.com'),
      /ecs-tasks.amazonaws.com may not assume its role EdgeTaskTaskRole\w+, which trusts lambda/,
    ],
    ['a role that nothing uses', inEdge('AWS::EC2::FlowLog', /./), /a role that nothing in its stack uses/],
  ]);
});
