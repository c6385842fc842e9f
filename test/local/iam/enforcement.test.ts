import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { ECSClient, ListTasksCommand } from '@aws-sdk/client-ecs';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { jsonApi } from '../../../local/aws-front/json-protocol';
import { LambdaStandIn } from '../../../local/lambda/lambda-stand-in';
import { S3StandIn } from '../../../local/s3/s3-stand-in';
import { Queues } from '../../../local/sns/queues';
import { SnsStandIn } from '../../../local/sns/sns-stand-in';
import { ACCOUNT } from '../support/cloud-assembly';
import { clientSettings, resource, testPlatform } from '../support/platform';

const BUCKET = 'arn:aws:s3:::models';
const TOPIC = `arn:aws:sns:us-east-1:${ACCOUNT}:control`;
const ECS = 'ecs-tasks.amazonaws.com';
const platform = testPlatform();
let s3: S3StandIn;
let roles = 0;

const policy = (...Statement: object[]) => ({ Version: '2012-10-17', Statement });
const allow = (Action: string | string[], Resource: string | string[]) => ({ Effect: 'Allow', Action, Resource });

/** Credentials of a task whose role has these statements. */
async function task(...statements: object[]) {
  const { iam } = platform.get();
  roles += 1;
  const trust = policy({ Effect: 'Allow', Principal: { Service: ECS }, Action: 'sts:AssumeRole' });
  const Policies = [{ PolicyName: 'own', PolicyDocument: policy(...statements) }];
  const [module] = iam.modules;
  const properties = { RoleName: `role-${roles}`, AssumeRolePolicyDocument: trust, Policies };
  const role = await module?.start(resource('AWS::IAM::Role', 'Role', properties));
  const keys = iam.assumeRole(String(role?.attributes?.Arn), ECS, 'task', undefined);
  const credentials = { accessKeyId: keys.AWS_ACCESS_KEY_ID, secretAccessKey: keys.AWS_SECRET_ACCESS_KEY };
  return { ...clientSettings(platform.get()), credentials, forcePathStyle: true };
}

type Settings = Awaited<ReturnType<typeof task>>;
const read = (settings: Settings, Key: string) =>
  new S3Client(settings)
    .send(new GetObjectCommand({ Bucket: 'models', Key }))
    .then((answer) => answer.Body?.transformToString());
const operator = () => ({ ...clientSettings(platform.get()), forcePathStyle: true });

beforeAll(async () => {
  const { front, log, iam } = platform.get();
  s3 = new S3StandIn({ rootDir: mkdtempSync(join(platform.directory, 's3-')), account: ACCOUNT, log });
  await s3.createBucket({ name: 'models', region: 'us-east-1', versioning: 'Disabled', replicationRules: [] });
  const queues = new Queues(log, iam);
  const sns = new SnsStandIn(new LambdaStandIn(platform.get(), queues), queues);
  front.serve(s3.api, sns.api, jsonApi('ecs', { ListTasks: () => ({ taskArns: [] }) }));
  await sns.modules[0]?.start(resource('AWS::SNS::Topic', 'Topic', { TopicName: 'control' }));
  for (const Key of ['a/1', 'b/1']) {
    await new S3Client(operator()).send(new PutObjectCommand({ Bucket: 'models', Key, Body: Key }));
  }
});
afterAll(() => s3.close());

test('a role does what its statements say, and the log names what is missing for the rest', async () => {
  const settings = await task(allow('s3:Get*', `${BUCKET}/a/*`));
  expect(await read(settings, 'a/1')).toBe('a/1');
  await expect(read(settings, 'b/1')).rejects.toMatchObject({
    name: 'AccessDenied',
    $metadata: { httpStatusCode: 403 },
  });
  expect(platform.lines.at(-1)).toMatch(
    /^IAM denied s3:GetObject on arn:aws:s3:::models\/b\/1 to role role-\d+: User: arn:aws:sts::000000000000:assumed-role\/role-\d+\/task is not authorized/,
  );
  const write = new S3Client(settings).send(new PutObjectCommand({ Bucket: 'models', Key: 'a/1', Body: 'x' }));
  await expect(write).rejects.toMatchObject({ name: 'AccessDenied' });
  expect(await read(operator() as Settings, 'a/1')).toBe('a/1');
});

test('a missing key is 404 to who may list the bucket, and 403 to others', async () => {
  const object = allow('s3:GetObject', `${BUCKET}/*`);
  await expect(read(await task(object), 'none')).rejects.toMatchObject({ name: 'AccessDenied' });
  expect(platform.lines.at(-1)).toContain('IAM denied s3:ListBucket on arn:aws:s3:::models to');
  await expect(read(await task(object, allow('s3:ListBucket', BUCKET)), 'none')).rejects.toMatchObject({
    name: 'NoSuchKey',
  });
});

test("a bucket policy's deny holds for everybody, the operator too", async () => {
  const Statement = { Effect: 'Deny', Principal: { AWS: '*' }, Action: 's3:GetObject', Resource: `${BUCKET}/b/*` };
  s3.putBucketPolicy('models', policy(Statement));
  await expect(read(await task(allow('s3:*', '*')), 'b/1')).rejects.toMatchObject({ name: 'AccessDenied' });
  await expect(read(operator() as Settings, 'b/1')).rejects.toThrow('with an explicit deny');
  expect(await read(operator() as Settings, 'a/1')).toBe('a/1');
});

test('each protocol has its own denial', async () => {
  const settings = await task(allow('s3:GetObject', '*'));
  const publish = new SNSClient(settings).send(new PublishCommand({ TopicArn: TOPIC, Message: 'x' }));
  await expect(publish).rejects.toMatchObject({
    name: 'AuthorizationErrorException',
    $metadata: { httpStatusCode: 403 },
  });
  const list = new ECSClient(settings).send(new ListTasksCommand({}));
  await expect(list).rejects.toMatchObject({ name: 'AccessDeniedException', $metadata: { httpStatusCode: 400 } });
  const allowed = new SNSClient(await task(allow('sns:Publish', TOPIC)));
  expect((await allowed.send(new PublishCommand({ TopicArn: TOPIC, Message: 'x' }))).MessageId).toBeDefined();
});

test('a session that has ended, and a service that a role does not trust, get nothing', async () => {
  const { iam } = platform.get();
  const settings = await task(allow('s3:GetObject', '*'));
  const role = `arn:aws:iam::${ACCOUNT}:role/role-${roles}`;
  expect(() => iam.assumeRole(role, 'lambda.amazonaws.com', 'x', undefined)).toThrow(
    `role role-${roles} does not let lambda.amazonaws.com assume it`,
  );
  expect(() => iam.requireTrust(`${role}0`, ECS)).toThrow(`there is no role ${role}0`);
  iam.revoke({ AWS_ACCESS_KEY_ID: settings.credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: '' });
  await expect(read(settings, 'a/1')).rejects.toMatchObject({ name: 'InvalidAccessKeyId' });
});

test('a managed policy whose statements are not known is refused', async () => {
  const [module] = platform.get().iam.modules;
  const AssumeRolePolicyDocument = policy({ Effect: 'Allow', Principal: { Service: ECS }, Action: 'sts:AssumeRole' });
  const ManagedPolicyArns = ['arn:aws:iam::aws:policy/AdministratorAccess'];
  const role = resource('AWS::IAM::Role', 'Odd', { RoleName: 'odd', AssumeRolePolicyDocument, ManagedPolicyArns });
  await expect(module?.start(role)).rejects.toThrow(
    'statements of arn:aws:iam::aws:policy/AdministratorAccess are not known',
  );
});
