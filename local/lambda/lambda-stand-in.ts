import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { physicalName } from '../engine/physical-name';
import type { Platform } from '../engine/platform';
import { parseProperties } from '../engine/properties';
import type { AwsApi, Resource, ResourceModule, Running } from '../engine/types';
import { matchesArn } from '../iam/wildcards';
import type { Queues } from '../sns/queues';
import { lambdaApi } from './lambda-api';
import { LambdaFunction } from './lambda-function';

const FunctionProperties = z.object({
  FunctionName: z.string().optional(),
  Code: z.union([z.object({ S3Bucket: z.string(), S3Key: z.string() }), z.strictObject({ ZipFile: z.string() })]),
  Handler: z.string().regex(/^.+\.[^.]+$/, { error: 'Handler must be <file>.<export>' }),
  Runtime: z.string().startsWith('nodejs', { error: 'only Node.js runtimes are run here' }),
  Timeout: z.coerce.number().int().positive().default(3),
  MemorySize: z.coerce.number().int().default(128),
  Role: z.string(),
  VpcConfig: z.looseObject({ SecurityGroupIds: z.array(z.string()), SubnetIds: z.array(z.string()) }).optional(),
  Environment: z.object({ Variables: z.record(z.string(), z.coerce.string()) }).default({ Variables: {} }),
  LoggingConfig: z.looseObject({ LogGroup: z.string().optional() }).optional(),
  DeadLetterConfig: z.object({ TargetArn: z.string() }).optional(),
});

const INERT_FUNCTION_PROPERTIES = [
  'Architectures',
  'Description',
  'EphemeralStorage',
  'KmsKeyArn',
  'RecursiveLoop',
  'ReservedConcurrentExecutions',
  'RuntimeManagementConfig',
  'TracingConfig',
];

const EventInvokeConfig = z.object({
  FunctionName: z.string(),
  Qualifier: z.literal('$LATEST'),
  MaximumRetryAttempts: z.coerce.number().int().min(0).max(2).default(2),
  DestinationConfig: z.strictObject({ OnFailure: z.object({ Destination: z.string() }) }).optional(),
});

const Permission = z.object({
  FunctionName: z.string(),
  Action: z.string(),
  Principal: z.string(),
  SourceArn: z.string().optional(),
  SourceAccount: z.string().optional(),
});

const LAMBDA = 'lambda.amazonaws.com';

/** What Lambda needs as the function's role to connect it to a VPC (Lambda developer guide, "Execution role permissions"). */
const NETWORK_ACTIONS = ['ec2:CreateNetworkInterface', 'ec2:DescribeNetworkInterfaces', 'ec2:DeleteNetworkInterface'];

/** What it needs for the output of a function not to be lost (the same). */
const LOG_ACTIONS = ['logs:CreateLogStream', 'logs:PutLogEvents'];

/** Lambda: each function is a child process that runs the handler of the bundled asset. */
export class LambdaStandIn {
  private readonly functions = new Map<string, LambdaFunction>();
  private readonly permissions: { functionArn: string; permission: z.infer<typeof Permission> }[] = [];

  constructor(
    private readonly platform: Platform,
    private readonly queues: Queues,
  ) {}

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::Lambda::Function', start: async (resource) => this.startFunction(resource) },
    { type: 'AWS::Lambda::EventInvokeConfig', start: async (resource) => this.startEventInvokeConfig(resource) },
    { type: 'AWS::Lambda::Permission', start: async (resource) => this.startPermission(resource) },
  ];

  readonly api: AwsApi = lambdaApi((nameOrArn, region) => this.find(nameOrArn, region));

  /** Function by name or (partial, qualified) ARN. */
  find(nameOrArn: string, region: string): LambdaFunction | undefined {
    const [, arnRegion, arnName] = /^(?:arn:aws:lambda:([^:]+):)?(?:[^:]*:)?function:([^:]+)/.exec(nameOrArn) ?? [];
    const name = arnName ?? nameOrArn.split(':', 1)[0];
    return [...this.functions.values()].find(
      ({ options }) => options.name === name && options.region === (arnRegion ?? region),
    );
  }

  /** Whether the function's resource policy lets `principal` invoke it on behalf of `sourceArn`. */
  permits(functionArn: string, principal: string, sourceArn: string): boolean {
    return this.permissions.some(({ functionArn: allowed, permission }) => {
      const { Action, Principal, SourceArn, SourceAccount } = permission;
      const accountMatches = SourceAccount === undefined || sourceArn.split(':')[4] === SourceAccount;
      const arnMatches = SourceArn === undefined || matchesArn(SourceArn, sourceArn);
      const actionMatches = ['lambda:InvokeFunction', 'lambda:*'].includes(Action);
      return allowed === functionArn && Principal === principal && actionMatches && accountMatches && arnMatches;
    });
  }

  private startFunction(resource: Resource): Running {
    const properties = parseProperties(resource, FunctionProperties, INERT_FUNCTION_PROPERTIES);
    const name = properties.FunctionName ?? physicalName(resource);
    const arn = `arn:aws:lambda:${resource.region}:${resource.account}:function:${name}`;
    const { Role, VpcConfig } = properties;
    this.platform.iam.requireTrust(Role, LAMBDA);
    const lambda = new LambdaFunction(
      {
        ...{ name, arn, region: resource.region, handler: properties.Handler },
        directory: this.codeDirectory(resource, properties.Code, name),
        timeoutMs: properties.Timeout * 1000,
        memoryMegabytes: properties.MemorySize,
        environment: properties.Environment.Variables,
        roleArn: Role,
        logGroup: properties.LoggingConfig?.LogGroup ?? `/aws/lambda/${name}`,
        network: VpcConfig && { name: `function ${name}`, region: resource.region, groups: VpcConfig.SecurityGroupIds },
      },
      this.platform,
    );
    const deadLetters = properties.DeadLetterConfig?.TargetArn;
    if (deadLetters) this.onFailureSendTo(lambda, deadLetters, 2);
    this.functions.set(arn, lambda);
    return {
      ref: name,
      attributes: { Arn: arn },
      stop: async () => {
        this.functions.delete(arn);
        await lambda.close();
      },
    };
  }

  /** What keeps functions from their network, their output from the log and their failed events from their queues. */
  findings(): string[] {
    return [...this.functions.values()].flatMap(({ options, asyncPolicy }) => {
      const { name, region, roleArn, logGroup, network } = options;
      const logStream = `arn:aws:logs:${region}:${this.platform.account}:log-group:${logGroup}:log-stream:${name}`;
      const asked = [
        ...LOG_ACTIONS.map((action) => ({ action, resource: logStream })),
        ...(network ? NETWORK_ACTIONS : []).map((action) => ({ action, resource: '*' })),
      ];
      const refused = asked.map((question) => this.platform.iam.missing(roleArn, LAMBDA, question));
      const queue = asyncPolicy.queueArn;
      if (queue !== undefined) refused.push(this.queues.refusalOfRole(queue, roleArn));
      return refused.flatMap((sentence) => (sentence ? [`function ${name}: ${sentence}`] : []));
    });
  }

  private codeDirectory(resource: Resource, code: z.infer<typeof FunctionProperties>['Code'], name: string): string {
    if ('S3Key' in code) return resource.assets.fileByObjectKey(code.S3Key);
    const directory = join(this.platform.stateDirectory, 'lambda', `${name}-${resource.region}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'index.js'), code.ZipFile);
    return directory;
  }

  private startEventInvokeConfig(resource: Resource): Running {
    const properties = parseProperties(resource, EventInvokeConfig, ['MaximumEventAgeInSeconds']);
    const lambda = this.required(properties.FunctionName, resource.region);
    const destination = properties.DestinationConfig?.OnFailure.Destination;
    if (destination) this.onFailureSendTo(lambda, destination, properties.MaximumRetryAttempts);
    else lambda.asyncPolicy = { ...lambda.asyncPolicy, retries: properties.MaximumRetryAttempts };
    return { ref: physicalName(resource) };
  }

  private startPermission(resource: Resource): Running {
    const permission = parseProperties(resource, Permission, [
      'FunctionUrlAuthType',
      'InvokedViaFunctionUrl',
      'PrincipalOrgID',
    ]);
    const functionArn = this.required(permission.FunctionName, resource.region).options.arn;
    this.permissions.push({ functionArn, permission });
    return { ref: physicalName(resource) };
  }

  private onFailureSendTo(lambda: LambdaFunction, queueArn: string, retries: number): void {
    const queue = this.queues.required(queueArn);
    const { arn, roleArn } = lambda.options;
    lambda.asyncPolicy = {
      retries,
      queueArn,
      onFailure: (event, result) => {
        if (this.queues.refusalOfRole(queueArn, roleArn)) return;
        queue.send(event, { ErrorMessage: result.payload, FunctionArn: arn });
      },
    };
  }

  private required(nameOrArn: string, region: string): LambdaFunction {
    const lambda = this.find(nameOrArn, region);
    if (!lambda) throw new Error(`FunctionName: there is no function ${nameOrArn} in ${region}`);
    return lambda;
  }
}
