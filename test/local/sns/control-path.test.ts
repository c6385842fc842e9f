import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { PublishBatchCommand, PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { cloudFormationApi } from '../../../local/cloudformation/cloudformation-stand-in';
import { regionDistances } from '../../../local/engine/distances';
import { type RegionalServices, startRegionalServices } from '../../../local/engine/regional-services';
import { type RunningAssembly, runAssembly } from '../../../local/engine/run-assembly';
import { writeAssembly } from '../support/cloud-assembly';
import { clientSettings, testPlatform } from '../support/platform';

const HANDLER = `
const { appendFileSync } = require('node:fs');
let warm = 0;
exports.handler = async (event, context) => {
  warm += 1;
  const message = event.Records ? event.Records[0].Sns.Message : event.do;
  if (message === 'fail') throw new TypeError('refused');
  if (message === 'hang') await new Promise((resolve) => setTimeout(resolve, 60000));
  if (message === 'exit') process.exit(4);
  appendFileSync(process.env.OUT, JSON.stringify(event) + '\\n');
  return { warm, region: process.env.AWS_REGION, name: context.functionName, left: context.getRemainingTimeInMillis() > 0 };
};
`;

const platform = testPlatform();
let services: RegionalServices;
let assembly: RunningAssembly;
let out: string;

const LOG_POLICY = 'arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole';
const policy = (...Statement: object[]) => ({ Version: '2012-10-17', Statement });

function template(omit: readonly string[] = []): object {
  const all: Record<string, unknown> = {
    Topic: { Type: 'AWS::SNS::Topic', Properties: { TopicName: 'control' } },
    Undelivered: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'undelivered' } },
    UndeliveredPolicy: {
      Type: 'AWS::SQS::QueuePolicy',
      Properties: {
        Queues: [{ Ref: 'Undelivered' }],
        PolicyDocument: policy({
          Effect: 'Allow',
          Principal: { Service: 'sns.amazonaws.com' },
          Action: 'sqs:SendMessage',
          Resource: { 'Fn::GetAtt': ['Undelivered', 'Arn'] },
          Condition: { ArnEquals: { 'aws:SourceArn': { Ref: 'Topic' } } },
        }),
      },
    },
    Role: {
      Type: 'AWS::IAM::Role',
      Properties: {
        AssumeRolePolicyDocument: policy({
          Effect: 'Allow',
          Principal: { Service: 'lambda.amazonaws.com' },
          Action: 'sts:AssumeRole',
        }),
        ManagedPolicyArns: omit.includes('LogPolicy') ? [] : [LOG_POLICY],
      },
    },
    RolePolicy: {
      Type: 'AWS::IAM::Policy',
      Properties: {
        PolicyName: 'failures',
        Roles: [{ Ref: 'Role' }],
        PolicyDocument: policy({
          Effect: 'Allow',
          Action: 'sqs:SendMessage',
          Resource: { 'Fn::GetAtt': ['Undelivered', 'Arn'] },
        }),
      },
    },
    Function: {
      Type: 'AWS::Lambda::Function',
      Properties: {
        Role: { 'Fn::GetAtt': ['Role', 'Arn'] },
        FunctionName: 'invalidation',
        Runtime: 'nodejs24.x',
        Handler: 'index.handler',
        Timeout: 1,
        Code: { S3Bucket: 'assets', S3Key: 'code.zip' },
        Environment: { Variables: { OUT: out } },
      },
    },
    Invoke: {
      Type: 'AWS::Lambda::EventInvokeConfig',
      Properties: {
        FunctionName: { Ref: 'Function' },
        Qualifier: '$LATEST',
        MaximumRetryAttempts: 0,
        DestinationConfig: { OnFailure: { Destination: { 'Fn::GetAtt': ['Undelivered', 'Arn'] } } },
      },
    },
    Permission: {
      Type: 'AWS::Lambda::Permission',
      Properties: {
        Action: 'lambda:InvokeFunction',
        FunctionName: { 'Fn::GetAtt': ['Function', 'Arn'] },
        Principal: 'sns.amazonaws.com',
        SourceArn: { Ref: 'Topic' },
      },
    },
    Subscription: {
      Type: 'AWS::SNS::Subscription',
      Properties: {
        Protocol: 'lambda',
        TopicArn: { Ref: 'Topic' },
        Endpoint: { 'Fn::GetAtt': ['Function', 'Arn'] },
        RedrivePolicy: { deadLetterTargetArn: { 'Fn::GetAtt': ['Undelivered', 'Arn'] } },
      },
    },
  };
  const Resources = Object.fromEntries(Object.entries(all).filter(([id]) => !omit.includes(id)));
  return { Resources, Outputs: { TopicArn: { Value: { Ref: 'Topic' } } } };
}

function start(omit: readonly string[] = [], region = 'eu-west-1'): Promise<RunningAssembly> {
  const code = mkdtempSync(join(platform.directory, 'code-'));
  writeFileSync(join(code, 'index.js'), HANDLER);
  const stacks = { Edge: { region, stackName: 'edge', template: template(omit), files: { 'code.zip': code } } };
  const assemblyDir = writeAssembly(platform.directory, stacks);
  return runAssembly({ assemblyDir, modules: services.modules, checks: services.checks, log: () => {} });
}

beforeAll(async () => {
  out = join(platform.directory, 'events');
  services = await startRegionalServices(platform.get(), regionDistances);
  assembly = await start();
  platform.get().front.serve(
    ...services.apis,
    cloudFormationApi(() => assembly),
  );
});
afterAll(async () => {
  await assembly?.stop();
  await services?.close();
});

const TOPIC = 'arn:aws:sns:eu-west-1:000000000000:control';
const settings = (region = 'eu-west-1') => clientSettings(platform.get(), region);
const publish = (Message: string) => new SNSClient(settings()).send(new PublishCommand({ TopicArn: TOPIC, Message }));

async function invoke(event: object, FunctionName = 'invalidation') {
  const answer = await new LambdaClient(settings()).send(
    new InvokeCommand({ FunctionName, Payload: JSON.stringify(event) }),
  );
  return { error: answer.FunctionError, payload: JSON.parse(new TextDecoder().decode(answer.Payload)) };
}

/** Messages the function has seen. A synchronous event waits its turn behind those accepted before it. */
async function seen(): Promise<{ Message: string; TopicArn: string; MessageId: string }[]> {
  await invoke({ do: 'flush' });
  const lines = existsSync(out) ? readFileSync(out, 'utf8').trim().split('\n') : [];
  return lines.map((line) => JSON.parse(line)).flatMap(({ Records }) => (Records ? [Records[0].Sns] : []));
}

describe('the control path: SNS -> Lambda', () => {
  test('delivers what is published, in the event shape of SNS', async () => {
    const { MessageId } = await publish('{"a":"& <b>"}');
    expect(await seen()).toContainEqual(
      expect.objectContaining({ Message: '{"a":"& <b>"}', TopicArn: TOPIC, MessageId, Type: 'Notification' }),
    );
    const batch = await new SNSClient(settings()).send(
      new PublishBatchCommand({
        TopicArn: TOPIC,
        PublishBatchRequestEntries: ['x', 'y'].map((Message) => ({ Id: Message, Message })),
      }),
    );
    expect(batch.Successful?.map(({ Id }) => Id)).toEqual(['x', 'y']);
    expect((await seen()).map(({ Message }) => Message)).toEqual(expect.arrayContaining(['x', 'y']));
  });

  test('an event that keeps failing goes to the failure destination', async () => {
    const queue = services.queues.required('arn:aws:sqs:eu-west-1:000000000000:undelivered');
    const arrived = once(queue, 'message');
    await publish('fail');
    const [message] = await arrived;
    expect(JSON.parse(message.body).Records[0].Sns.Message).toBe('fail');
    expect(message.attributes.ErrorMessage).toContain('"errorType":"TypeError"');
  });

  test('a topic that does not exist, or is in another region, is refused', async () => {
    const to = (TopicArn: string, region = 'eu-west-1') =>
      new SNSClient(settings(region)).send(new PublishCommand({ TopicArn, Message: 'x' }));
    await expect(to(`${TOPIC}-gone`)).rejects.toMatchObject({ name: 'NotFoundException' });
    await expect(to(TOPIC, 'us-east-1')).rejects.toMatchObject({ name: 'InvalidParameterException' });
  });

  test.each([
    [
      'Permission',
      /Subscription: arn:.*:function:invalidation has no AWS::Lambda::Permission for sns\.amazonaws\.com from arn:.*:control/,
    ],
    ['Topic', /Ref: Topic is neither a parameter nor a started resource/],
    [
      'UndeliveredPolicy',
      /sns\.amazonaws\.com is not authorized to perform: sqs:SendMessage on resource: .*undelivered/,
    ],
    [
      'LogPolicy',
      /function invalidation: .* is not authorized to perform: logs:CreateLogStream on resource: .*:\/aws\/lambda\/invalidation:/,
    ],
    [
      'RolePolicy',
      /function invalidation: .* is not authorized to perform: sqs:SendMessage on resource: .*undelivered/,
    ],
  ])('a template without its %s does not start', async (missing, message) => {
    await expect(start([missing], 'us-west-2')).rejects.toThrow(message);
  });
});

describe('Lambda', () => {
  test('answers with the warm handler and its context', async () => {
    const first = await invoke({ do: 'a' });
    expect(first).toMatchObject({
      error: undefined,
      payload: { region: 'eu-west-1', name: 'invalidation', left: true },
    });
    const byArn = await invoke({ do: 'b' }, 'arn:aws:lambda:eu-west-1:000000000000:function:invalidation');
    expect(byArn.payload.warm).toBe(first.payload.warm + 1);
  });

  test('reports an error, a time-out and an exit, and goes on with a new process', async () => {
    expect(await invoke({ do: 'fail' })).toMatchObject({
      error: 'Unhandled',
      payload: { errorType: 'TypeError', errorMessage: 'refused' },
    });
    expect(await invoke({ do: 'hang' })).toMatchObject({
      error: 'Unhandled',
      payload: {
        errorType: 'Sandbox.Timedout',
        errorMessage: expect.stringContaining('Task timed out after 1.00 seconds'),
      },
    });
    expect(await invoke({ do: 'exit' })).toMatchObject({ payload: { errorType: 'Runtime.ExitError' } });
    expect(await invoke({ do: 'again' })).toMatchObject({ error: undefined, payload: { warm: 1 } });
  });

  test('a function that does not exist is a 404', async () => {
    await expect(invoke({}, 'nobody')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });
});

test('CloudFormation describes the running stacks of a region', async () => {
  const describe = (StackName: string, region?: string) =>
    new CloudFormationClient(settings(region)).send(new DescribeStacksCommand({ StackName }));
  const { Stacks } = await describe('edge');
  expect(Stacks).toMatchObject([
    { StackName: 'edge', StackStatus: 'CREATE_COMPLETE', Outputs: [{ OutputKey: 'TopicArn', OutputValue: TOPIC }] },
  ]);
  await expect(describe('edge', 'us-east-1')).rejects.toThrow('Stack with id edge does not exist');
});
