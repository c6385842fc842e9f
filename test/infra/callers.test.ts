import { invocations } from '../../lib/checks/invocations';
import { transportEncryption } from '../../lib/checks/transport-encryption';
import { expectEachCaught, type Fault, inEdge, synthesized } from './breaking';

const stacks = synthesized('prod', ['us-east-1', 'eu-west-1']);

const statement = (index: number, field: string) => `Properties.PolicyDocument.Statement.${index}.${field}`;

describe('transport-encryption', () => {
  const DENY = 'Properties.PolicyDocument.Statement.0';
  const bucket = (path: string, to?: unknown): Fault => ({
    stack: 'models-eu-west-1',
    type: 'AWS::S3::BucketPolicy',
    path,
    ...(to === undefined ? {} : { to }),
  });
  expectEachCaught(stacks, transportEncryption, [
    ['a bucket that answers plain HTTP', bucket(DENY), /denies s3:GetObject to everybody without TLS/],
    ['a bucket without policy', { stack: 'models-eu-west-1', type: 'AWS::S3::BucketPolicy' }, /denies s3:GetObject/],
    ['objects that are left out', bucket(`${DENY}.Resource.1`), /denies s3:GetObject/],
    ['a denial for one principal', bucket(`${DENY}.Principal`, { Service: 'cloudfront.amazonaws.com' }), /denies/],
    ['a denial of writing', bucket(`${DENY}.Action`, 's3:PutObject'), /denies s3:GetObject/],
    ['the contrary', bucket(`${DENY}.Condition.Bool`, { 'aws:SecureTransport': 'true' }), /denies s3:GetObject/],
    [
      'a denial with an exception',
      bucket(`${DENY}.Condition.StringEquals`, { 'aws:SourceAccount': '111122223333' }),
      /denies s3:GetObject/,
    ],
    ['a queue', inEdge('AWS::SQS::QueuePolicy', /Unapplied/, DENY), /denies sqs:SendMessage/],
    ['a topic', inEdge('AWS::SNS::TopicPolicy', /ControlTopic/, DENY), /denies sns:Publish/],
  ]);
});

describe('invocations', () => {
  expectEachCaught(stacks, invocations, [
    [
      'a topic that may not call its function',
      inEdge('AWS::Lambda::Permission', /AllowInvoke/),
      /sns.amazonaws.com may not lambda:InvokeFunction/,
    ],
    [
      'a permission for another topic',
      inEdge(
        'AWS::Lambda::Permission',
        /AllowInvoke/,
        'Properties.SourceArn',
        'arn:aws:sns:eu-west-1:777788889999:other',
      ),
      /may not lambda:InvokeFunction/,
    ],
    [
      'a schedule that may not call its function',
      { stack: 'global', type: 'AWS::Lambda::Permission', named: /RegionScores/ },
      /events.amazonaws.com may not/,
    ],
    [
      'a rotation that may not call its function',
      { stack: 'global', type: 'AWS::Lambda::Permission', named: /OriginKeyRotation/ },
      /secretsmanager.amazonaws.com may not lambda:InvokeFunction/,
    ],
    [
      'a rotation whose function any secret may call',
      {
        stack: 'global',
        type: 'AWS::Lambda::Permission',
        named: /OriginKeyRotation/,
        path: 'Properties.SourceArn',
        to: 'arn:aws:secretsmanager:us-east-1:777788889999:secret:*',
      },
      /which nothing asks for/,
    ],
    [
      'a dead-letter queue that takes nothing',
      inEdge('AWS::SQS::QueuePolicy', /Undelivered/, 'Properties.PolicyDocument.Statement.1'),
      /sns.amazonaws.com may not sqs:SendMessage/,
    ],
    [
      'a topic that alarms may not publish to',
      inEdge('AWS::SNS::TopicPolicy', /Monitoring/, 'Properties.PolicyDocument.Statement.1'),
      /cloudwatch.amazonaws.com may not sns:Publish/,
    ],
    [
      'a key that alarms may not use',
      inEdge('AWS::KMS::Key', /./, 'Properties.KeyPolicy.Statement.1'),
      /may not sns:Publish/,
    ],
    [
      'an account that is another',
      inEdge('AWS::SNS::TopicPolicy', /Monitoring/, `${statement(1, 'Condition')}.StringEquals`, {
        'aws:SourceAccount': '111122223333',
      }),
      /may not sns:Publish/,
    ],
    [
      'a permission for every topic',
      inEdge('AWS::Lambda::Permission', /AllowInvoke/, 'Properties.SourceArn'),
      /sns.amazonaws.com may not lambda:InvokeFunction/,
    ],
    [
      'a topic without subscription',
      inEdge('AWS::SNS::Subscription', /ControlInvalidation/),
      /lets sns.amazonaws.com invoke .*, which nothing asks for/,
    ],
    [
      'a queue that nobody fills',
      inEdge('AWS::SNS::Subscription', /ControlInvalidation/, 'Properties.RedrivePolicy'),
      /allows sqs:SendMessage to .*sns.amazonaws.com.*, which nothing asks for/,
    ],
    [
      'a function that nobody calls',
      inEdge('AWS::Lambda::Function', /Status/, 'Properties.FunctionName'),
      /nothing calls it/,
    ],
    [
      'a FIFO topic',
      inEdge(
        'AWS::SNS::Subscription',
        /ControlInvalidation/,
        'Properties.TopicArn',
        'arn:aws:sns:eu-west-1:777788889999:control.fifo',
      ),
      /FIFO/,
    ],
    [
      'a topic of another region',
      inEdge(
        'AWS::SNS::Subscription',
        /ControlInvalidation/,
        'Properties.TopicArn',
        'arn:aws:sns:me-south-1:777788889999:control',
      ),
      /topic is in me-south-1/,
    ],
  ]);
});
