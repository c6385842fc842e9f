import { type Policy, parsePolicy } from './policy';

/** AWS managed policies that templates attach; statements as the AWS Managed Policy Reference Guide prints them. */
const DOCUMENTS: Readonly<Record<string, object>> = {
  'service-role/AWSLambdaVPCAccessExecutionRole': {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: [
          'logs:CreateLogGroup',
          'logs:CreateLogStream',
          'logs:PutLogEvents',
          'ec2:CreateNetworkInterface',
          'ec2:DescribeNetworkInterfaces',
          'ec2:DescribeSubnets',
          'ec2:DeleteNetworkInterface',
          'ec2:AssignPrivateIpAddresses',
          'ec2:UnassignPrivateIpAddresses',
        ],
        Resource: '*',
      },
    ],
  },
  'service-role/AWSLambdaBasicExecutionRole': {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'],
        Resource: '*',
      },
    ],
  },
};

const PREFIX = 'arn:aws:iam::aws:policy/';

/** An AWS managed policy by ARN. @throws when its statements are not known here. */
export function managedPolicy(arn: string): Policy {
  const document = arn.startsWith(PREFIX) ? DOCUMENTS[arn.slice(PREFIX.length)] : undefined;
  if (!document) {
    throw new Error(
      `ManagedPolicyArns: the statements of ${arn} are not known; add them to local/iam/managed-policies.ts`,
    );
  }
  return parsePolicy(document, 'identity', arn);
}
