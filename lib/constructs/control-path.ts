import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import { type IVpc, Peer, Port, SecurityGroup, SubnetType } from 'aws-cdk-lib/aws-ec2';
import { ManagedPolicy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { type IDestination, Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { LambdaSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { controlTopicName, type NamingScope, statusFunctionName } from '../core/resource-names';
import { lambdaProgram } from './lambda-program';
import type { RegionalCache } from './regional-cache';

const HTTPS_PORT = 443;

export interface ControlPathProps {
  readonly naming: NamingScope;
  readonly vpc: IVpc;
  readonly cache: RegionalCache;
  readonly region: string;
  readonly logRetentionDays: RetentionDays;
}

/**
 * How a region hears of invalidations and new versions: topic -> `invalidation` function -> control log in Valkey ->
 * every edge task; and how the operator sees what the tasks made of it: the `status` function. What cannot be delivered
 * or applied waits in a queue for the operator.
 */
export class ControlPath extends Construct {
  readonly topic: Topic;
  readonly invalidation: LambdaFunction;
  readonly status: LambdaFunction;
  /** Where messages wait that could not be delivered or applied. */
  readonly deadLetterQueues: Queue[] = [];

  constructor(
    scope: Construct,
    id: string,
    private readonly props: ControlPathProps,
  ) {
    super(scope, id);
    this.topic = new Topic(this, 'Topic', { topicName: controlTopicName(props.naming), enforceSSL: true });
    const securityGroup = new SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'Control functions: Valkey and AWS APIs out',
      allowAllOutbound: false,
    });
    securityGroup.addEgressRule(Peer.anyIpv4(), Port.tcp(HTTPS_PORT), 'AWS APIs');
    props.cache.allowFrom(securityGroup, 'Control functions');

    this.invalidation = this.addFunction('Invalidation', 'invalidation', securityGroup, {
      environment: props.cache.environment('control'),
      onFailure: failuresTo(this.addDeadLetterQueue('Unapplied')),
      retryAttempts: 2,
    });
    this.topic.addSubscription(
      new LambdaSubscription(this.invalidation, { deadLetterQueue: this.addDeadLetterQueue('Undelivered') }),
    );
    this.status = this.addFunction('Status', 'status', securityGroup, {
      functionName: statusFunctionName(props.naming),
      environment: { ...props.cache.environment('control'), REGION: props.region },
    });
  }

  /** A function of `lambda/<folder>/handler.ts` inside the network. */
  private addFunction(
    id: string,
    folder: string,
    securityGroup: SecurityGroup,
    options: Pick<
      ConstructorParameters<typeof LambdaFunction>[2],
      'environment' | 'functionName' | 'onFailure' | 'retryAttempts'
    >,
  ): LambdaFunction {
    const role = new Role(this, `${id}Role`, {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      managedPolicies: [ManagedPolicy.fromAwsManagedPolicyName('service-role/AWSLambdaVPCAccessExecutionRole')],
    });
    this.props.cache.grantConnect(role, 'control');
    Validations.of(role).acknowledge({
      id: 'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole]',
      reason: 'Logging and network interfaces, nothing else; AWS keeps it in step with what Lambda in a VPC needs.',
    });
    return new LambdaFunction(this, id, {
      ...lambdaProgram(folder),
      memorySize: 256,
      timeout: Duration.seconds(15),
      role,
      vpc: this.props.vpc,
      vpcSubnets: { subnetType: SubnetType.PRIVATE_WITH_EGRESS },
      securityGroups: [securityGroup],
      logGroup: new LogGroup(this, `${id}Logs`, {
        retention: this.props.logRetentionDays,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
      ...options,
    });
  }

  private addDeadLetterQueue(id: string): Queue {
    const queue = new Queue(this, id, {
      enforceSSL: true,
      encryption: QueueEncryption.SQS_MANAGED,
      retentionPeriod: Duration.days(14),
    });
    Validations.of(queue).acknowledge({
      id: 'AwsSolutions-SQS3',
      reason: 'This is itself a dead-letter queue.',
    });
    this.deadLetterQueues.push(queue);
    return queue;
  }
}

/** Keeps what a function failed on. CDK's own destination would let the function read the queue's attributes as well. */
function failuresTo(queue: Queue): IDestination {
  return {
    bind: (_, program) => {
      const send = new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [queue.queueArn] });
      program.grantPrincipal.addToPrincipalPolicy(send);
      return { destination: queue.queueArn };
    },
  };
}
