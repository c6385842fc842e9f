/**
 * IAM actions behind the calls of the AWS SDK that programs here make. Most are called like their command; the exceptions
 * are why this is a table. A call that is not in it is a finding.
 * Source: Service Authorization Reference, and for S3 the user guide, "Required permissions for Amazon S3 API operations".
 */
export const SDK_ACTIONS: Readonly<Record<string, readonly string[]>> = {
  GetObjectCommand: ['s3:GetObject'],
  HeadObjectCommand: ['s3:GetObject'],
  PutObjectCommand: ['s3:PutObject'],
  DeleteObjectCommand: ['s3:DeleteObject'],
  ListObjectsV2Command: ['s3:ListBucket'],
  paginateListObjectsV2: ['s3:ListBucket'],
  HeadBucketCommand: ['s3:ListBucket'],
  InvokeCommand: ['lambda:InvokeFunction'],
  PublishCommand: ['sns:Publish'],
  PutMetricDataCommand: ['cloudwatch:PutMetricData'],
  DescribeKeyValueStoreCommand: ['cloudfront-keyvaluestore:DescribeKeyValueStore'],
  GetKeyCommand: ['cloudfront-keyvaluestore:GetKey'],
  ListKeysCommand: ['cloudfront-keyvaluestore:ListKeys'],
  UpdateKeysCommand: ['cloudfront-keyvaluestore:UpdateKeys'],
  CreateInvalidationCommand: ['cloudfront:CreateInvalidation'],
  GetInvalidationCommand: ['cloudfront:GetInvalidation'],
  ListTasksCommand: ['ecs:ListTasks'],
  DescribeTasksCommand: ['ecs:DescribeTasks'],
  GetSecretValueCommand: ['secretsmanager:GetSecretValue'],
  DescribeSecretCommand: ['secretsmanager:DescribeSecret'],
  PutSecretValueCommand: ['secretsmanager:PutSecretValue'],
  UpdateSecretVersionStageCommand: ['secretsmanager:UpdateSecretVersionStage'],
  DescribeLoadBalancersCommand: ['elasticloadbalancing:DescribeLoadBalancers'],
  DescribeListenersCommand: ['elasticloadbalancing:DescribeListeners'],
  DescribeRulesCommand: ['elasticloadbalancing:DescribeRules'],
  ModifyRuleCommand: ['elasticloadbalancing:ModifyRule'],
  GetDistributionCommand: ['cloudfront:GetDistribution'],
  UpdateDistributionCommand: ['cloudfront:UpdateDistribution'],
};
