import { managedPolicy } from '../../local/iam/managed-policies';
import { type CheckedStack, resourceBehind } from './assembly';
import type { Check, Finding } from './finding';
import { listAt, textAt } from './json';
import { type Grant, missing, type Need, unusedIn } from './permissions';
import { policiesOfRole } from './policies';
import { bundles, connectsToCache, type Program, programsOf, protectsItself, sdkCallsOf } from './programs';
import { SDK_ACTIONS } from './sdk-actions';

/** What Lambda asks of the role of a function in a VPC. Source: Lambda developer guide, "Required IAM permissions". */
const INTERFACE_ACTIONS = [
  'ec2:CreateNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:DeleteNetworkInterface',
  'ec2:AssignPrivateIpAddresses',
  'ec2:UnassignPrivateIpAddresses',
];

/** Every call of a program is allowed to its role for the resource it names, and its role allows nothing else. */
export const runtimePermissions: Check = {
  name: 'runtime-permissions',
  async run(assembly) {
    const found = await Promise.all(programsOf(assembly).map((program) => faultsOf(program)));
    return found.flat();
  },
};

async function faultsOf(program: Program): Promise<Finding[]> {
  const { stack, resource, roleArn } = program;
  const at = { stack: stack.name, resource: resource.logicalId };
  const { role, statements, managed } = policiesOfRole(stack, roleArn);
  if (!role) return [{ ...at, problem: `its role ${roleArn} is not in its stack`, right: 'a role of its own' }];
  const needs = [...needsOf(program), ...(program.kind === 'function' ? hostNeeds(program) : [])];
  const unused = await Promise.all(statements.map((statement) => unusedIn(statement, needs)));
  const attached = managed.map((arn) => ({ arn, grants: grantsOf(arn) }));
  const grants = [...statements, ...attached.flatMap((policy) => policy.grants)];
  return [
    ...signingFaults(program).map((fault) => ({ ...at, ...fault })),
    ...unknownCalls(program).map((problem) => ({ ...at, problem, right: 'its actions in lib/checks/sdk-actions.ts' })),
    ...missing(grants, needs).map((problem) => ({ ...at, problem: `its role ${problem}`, right: ALLOWING })),
    ...unused.flat(),
    ...attached
      .filter((policy) => !servesAll(policy.grants, needs))
      .map(({ arn }) => ({ ...at, problem: `its role has ${arn}, which it does not need`, right: 'no such policy' })),
  ];
}

/** The KeyValueStore takes signatures for all regions only, which the SDK makes with a package that it does not bring. */
function signingFaults(program: Program): Pick<Finding, 'problem' | 'right'>[] {
  const calls = sdkCallsOf(program).filter((call) =>
    SDK_ACTIONS[call]?.some((action) => action.startsWith('cloudfront-keyvaluestore:')),
  );
  if (calls.length === 0 || bundles(program, '@aws-sdk/signature-v4a')) return [];
  return [
    {
      problem: `calls ${calls.join(', ')}, which it cannot sign`,
      right: "import '@aws-sdk/signature-v4a' in its code",
    },
  ];
}

const ALLOWING = 'a statement that allows it';

function unknownCalls(program: Program): string[] {
  return sdkCallsOf(program)
    .filter((call) => SDK_ACTIONS[call] === undefined)
    .map((call) => `its code calls ${call}, whose permission is not known`);
}

/** What an AWS managed policy grants. @throws when it is not known. */
function grantsOf(arn: string): Grant[] {
  return managedPolicy(arn).map(({ effect, actions, resources }) => ({
    effect,
    actions: actions.patterns,
    resources: resources?.patterns ?? [],
  }));
}

/** Whether every action of a policy is needed; that Lambda may make its log group is left to the policy. */
function servesAll(grants: readonly Grant[], needs: readonly Need[]): boolean {
  return grants
    .flatMap(({ actions }) => actions)
    .filter((action) => action !== 'logs:createloggroup')
    .every((action) => needs.some((need) => need.action.toLowerCase() === action));
}

/** What Lambda itself does as the role of a function. */
function hostNeeds({ stack, resource }: Program): Need[] {
  const group = textAt(resource.properties, 'LoggingConfig', 'LogGroup') || `/aws/lambda/${resource.name}`;
  const log = `arn:aws:logs:${stack.region}:${stack.account}:log-group:${group}:log-stream:name`;
  const inVpc = listAt(resource.properties, 'VpcConfig', 'SubnetIds').length > 0;
  return [
    ...['logs:CreateLogStream', 'logs:PutLogEvents'].map((action) => ({
      action,
      resources: [log],
      why: 'Lambda writes its log',
    })),
    ...(inVpc ? INTERFACE_ACTIONS : []).map((action) => ({
      action,
      resources: ['*'],
      why: 'Lambda gives it a network interface',
    })),
  ];
}

/** What the program's own code calls, on what its environment names. */
function needsOf(program: Program): Need[] {
  const { stack, resource, environment } = program;
  const calls = sdkCallsOf(program).flatMap((call) =>
    (SDK_ACTIONS[call] ?? []).map((action) => ({
      action,
      resources: targetsOf(action, program),
      why: `its code calls ${call.replace(/Command$/, '')}`,
    })),
  );
  const prefix = `arn:aws:elasticache:${stack.region}:${stack.account}`;
  const login = {
    action: 'elasticache:Connect',
    resources: [
      `${prefix}:replicationgroup:${environment.REDIS_IAM_CACHE_NAME}`,
      `${prefix}:user:${environment.REDIS_IAM_USER}`,
    ],
    why: 'it logs in to Valkey by IAM',
  };
  const protection = {
    action: 'ecs:UpdateTaskProtection',
    resources: clustersOf(stack, resource.ref).map(
      (cluster) => `arn:aws:ecs:${stack.region}:${stack.account}:task/${cluster}/id`,
    ),
    why: 'it asks the ECS agent for protection from scale-in',
  };
  const failed = failureQueues(stack, resource.ref).map((queue) => ({
    action: 'sqs:SendMessage',
    resources: [queue],
    why: 'Lambda keeps its failed events there',
  }));
  return [
    ...calls,
    ...(connectsToCache(program) ? [login] : []),
    ...(protectsItself(program) ? [protection] : []),
    ...failed,
  ];
}

/** Resources that an action of a program is asked for, by the variables that name them. */
function targetsOf(action: string, { environment, stack }: Program): string[] {
  const bucket = `arn:aws:s3:::${environment.MODEL_BUCKET}`;
  const { FIRST_KEY_SECRET: first = '', SECOND_KEY_SECRET: second = '', REGIONS = '' } = environment;
  const regions = REGIONS.split(',');
  const secret = (name: string, region = stack.region) =>
    `arn:aws:secretsmanager:${region}:${stack.account}:secret:${name}-xxxxxx`;
  const distribution = `arn:aws:cloudfront::${stack.account}:distribution/${environment.DISTRIBUTION_ID}`;
  const named: Readonly<Record<string, readonly string[]>> = {
    's3:GetObject': [`${bucket}/models/name/1/model.onnx`, `${bucket}/channels/name.json`],
    's3:ListBucket': [bucket],
    'lambda:InvokeFunction': regions.map(
      (region) => `arn:aws:lambda:${region}:${stack.account}:function:${environment.STATUS_FUNCTION_NAME}`,
    ),
    'secretsmanager:DescribeSecret': [secret(first), secret(second)],
    'secretsmanager:PutSecretValue': [secret(first), secret(second)],
    'secretsmanager:UpdateSecretVersionStage': [secret(first)],
    'secretsmanager:GetSecretValue': [stack.region, ...regions].flatMap((region) => [
      secret(first, region),
      secret(second, region),
    ]),
    'elasticloadbalancing:ModifyRule': regions.map(
      (region) =>
        `arn:aws:elasticloadbalancing:${region}:${stack.account}:listener-rule/app/${environment.LOAD_BALANCER_NAME}/id/id/id`,
    ),
    'cloudfront:GetDistribution': [distribution],
    'cloudfront:UpdateDistribution': [distribution],
  };
  if (action.startsWith('cloudfront-keyvaluestore:')) return [environment.KEY_VALUE_STORE_ARN ?? '*'];
  return [...(named[action] ?? ['*'])];
}

/** Names of the clusters whose services run a task definition. */
function clustersOf(stack: CheckedStack, taskRef: string): string[] {
  return stack.resources
    .filter(({ type, properties }) => type === 'AWS::ECS::Service' && textAt(properties, 'TaskDefinition') === taskRef)
    .map(({ properties }) => resourceBehind(stack, textAt(properties, 'Cluster'))?.name ?? '');
}

function failureQueues(stack: CheckedStack, functionRef: string): string[] {
  return stack.resources
    .filter(
      ({ type, properties }) =>
        type === 'AWS::Lambda::EventInvokeConfig' && textAt(properties, 'FunctionName') === functionRef,
    )
    .map(({ properties }) => textAt(properties, 'DestinationConfig', 'OnFailure', 'Destination'))
    .filter((arn) => arn.includes(':sqs:'));
}
