import { Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import type { Distribution } from 'aws-cdk-lib/aws-cloudfront';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnPermission, Function as LambdaProgram } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { CfnRotationSchedule } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { ORIGIN_KEYS, type OriginKey, originKeyRotationName, originKeySecretName } from '../core/origin-keys';
import { loadBalancerName, type NamingScope } from '../core/resource-names';
import { acknowledgeWildcards } from './acknowledge';
import { lambdaProgram } from './lambda-program';

export interface OriginKeyRotationProps {
  readonly naming: NamingScope;
  /** Days from one rotation to the next. */
  readonly everyDays: number;
  /** Seconds that a change is left alone before it is relied upon. */
  readonly settleSeconds: number;
  /** Edge regions; each has a load balancer before this stack is deployed. */
  readonly regions: readonly string[];
  readonly distribution: Distribution;
  readonly logRetentionDays: RetentionDays;
}

/**
 * The function that renews the origin keys, and its schedule; code and argument in `lambda/origin-key-rotation`. It stands
 * with the distribution, so that it can exist only after everything that it changes, and in the region of the secrets.
 */
export class OriginKeyRotation extends Construct {
  readonly function: LambdaProgram;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: OriginKeyRotationProps,
  ) {
    super(scope, id);
    const { naming, logRetentionDays } = props;
    const logGroup = new LogGroup(this, 'Logs', { retention: logRetentionDays, removalPolicy: RemovalPolicy.DESTROY });
    const role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    logGroup.grantWrite(role);
    for (const statement of this.permissions()) role.addToPolicy(statement);
    this.function = new LambdaProgram(this, 'Function', {
      ...lambdaProgram('origin-key-rotation'),
      functionName: originKeyRotationName(naming),
      memorySize: 512,
      // A step waits for the distribution's deployment, which takes minutes.
      timeout: Duration.minutes(15),
      role,
      logGroup,
      retryAttempts: 0,
      environment: {
        FIRST_KEY_SECRET: originKeySecretName(naming, 'first'),
        SECOND_KEY_SECRET: originKeySecretName(naming, 'second'),
        LOAD_BALANCER_NAME: loadBalancerName(naming),
        DISTRIBUTION_ID: props.distribution.distributionId,
        REGIONS: props.regions.join(','),
        SETTLE_SECONDS: String(props.settleSeconds),
      },
    });
    this.schedule();
    this.acknowledgeFindings(role);
  }

  private schedule(): void {
    const { naming, everyDays, distribution } = this.props;
    const permission = new CfnPermission(this, 'Invocation', {
      action: 'lambda:InvokeFunction',
      functionName: this.function.functionArn,
      principal: 'secretsmanager.amazonaws.com',
      sourceArn: this.secretArn('first'),
      sourceAccount: naming.account,
    });
    const schedule = new CfnRotationSchedule(this, 'Schedule', {
      secretId: originKeySecretName(naming, 'first'),
      rotationLambdaArn: this.function.functionArn,
      rotationRules: { automaticallyAfterDays: everyDays },
      // A deployment only tries the step testSecret, which changes nothing.
      rotateImmediatelyOnUpdate: false,
    });
    schedule.node.addDependency(distribution, this.function, permission);
  }

  private permissions(): PolicyStatement[] {
    const { distribution } = this.props;
    const secrets = ORIGIN_KEYS.map((key) => this.secretArn(key));
    return [
      new PolicyStatement({
        actions: ['secretsmanager:DescribeSecret', 'secretsmanager:PutSecretValue'],
        resources: secrets,
      }),
      new PolicyStatement({
        actions: ['secretsmanager:UpdateSecretVersionStage'],
        resources: [this.secretArn('first')],
      }),
      // Of every region: a new one has its replica and its load balancer before this stack knows it.
      new PolicyStatement({
        actions: ['secretsmanager:GetSecretValue'],
        resources: ORIGIN_KEYS.map((key) => this.secretArn(key, '*')),
      }),
      new PolicyStatement({
        actions: ['DescribeLoadBalancers', 'DescribeListeners', 'DescribeRules'].map(
          (name) => `elasticloadbalancing:${name}`,
        ),
        resources: ['*'],
      }),
      new PolicyStatement({
        actions: ['elasticloadbalancing:ModifyRule'],
        resources: [this.ruleArns],
      }),
      new PolicyStatement({
        actions: ['cloudfront:GetDistribution', 'cloudfront:UpdateDistribution'],
        resources: [distribution.distributionArn],
      }),
    ];
  }

  /** Secrets Manager puts six characters of its own behind a name. */
  private secretArn(key: OriginKey, region: string = Stack.of(this).region): string {
    const { naming } = this.props;
    return `arn:aws:secretsmanager:${region}:${naming.account}:secret:${originKeySecretName(naming, key)}-??????`;
  }

  private get ruleArns(): string {
    const { naming } = this.props;
    return `arn:aws:elasticloadbalancing:*:${naming.account}:listener-rule/app/${loadBalancerName(naming)}/*`;
  }

  private acknowledgeFindings(role: Role): void {
    const reason =
      'Secrets Manager calls it and tries a failed rotation again; the alarm on its errors tells the operators.';
    Validations.of(this.function).acknowledge(
      { id: 'Serverless-LambdaAsyncFailureDestination', reason },
      { id: 'NIST.800.53.R5-LambdaInsideVPC', reason: "It calls AWS's own APIs alone, of every region." },
    );
    acknowledgeWildcards(
      role,
      ['*'],
      'Descriptions of Elastic Load Balancing can be limited to no resource; what is changed is.',
    );
    acknowledgeWildcards(
      role,
      [...ORIGIN_KEYS.map((key) => this.secretArn(key, '*')), this.ruleArns],
      "The keys' replicas and the rules of the environment's load balancer, in every region that it has or will have.",
    );
  }
}
