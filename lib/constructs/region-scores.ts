import { ArnFormat, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import type { KeyValueStore } from 'aws-cdk-lib/aws-cloudfront';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Function as LambdaProgram } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { type NamingScope, statusFunctionName } from '../core/resource-names';
import { lambdaProgram } from './lambda-program';

/** A table is believed for five of these. */
const MEASURE_EVERY = Duration.minutes(1);

export interface RegionScoresProps {
  readonly naming: NamingScope;
  readonly regions: readonly string[];
  readonly keyValueStore: KeyValueStore;
  readonly logRetentionDays: RetentionDays;
}

/**
 * The scheduled function that asks every region's status function for load, hit rate and health, and writes them where
 * the viewer-request function chooses by them; code in `lambda/region-scores`.
 */
export class RegionScores extends Construct {
  readonly function: LambdaProgram;

  constructor(scope: Construct, id: string, { naming, regions, keyValueStore, logRetentionDays }: RegionScoresProps) {
    super(scope, id);
    const statusFunction = statusFunctionName(naming);
    const logGroup = new LogGroup(this, 'Logs', { retention: logRetentionDays, removalPolicy: RemovalPolicy.DESTROY });
    const role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
    logGroup.grantWrite(role);
    role.addToPolicy(
      new PolicyStatement({
        actions: ['lambda:InvokeFunction'],
        resources: regions.map((region) =>
          Stack.of(this).formatArn({
            service: 'lambda',
            region,
            resource: 'function',
            resourceName: statusFunction,
            arnFormat: ArnFormat.COLON_RESOURCE_NAME,
          }),
        ),
      }),
    );
    role.addToPolicy(
      new PolicyStatement({
        actions: ['DescribeKeyValueStore', 'GetKey', 'UpdateKeys'].map((name) => `cloudfront-keyvaluestore:${name}`),
        resources: [keyValueStore.keyValueStoreArn],
      }),
    );
    this.function = new LambdaProgram(this, 'Function', {
      ...lambdaProgram('region-scores'),
      memorySize: 256,
      timeout: Duration.seconds(30),
      role,
      logGroup,
      // The next run makes up for a failed one.
      retryAttempts: 0,
      environment: {
        KEY_VALUE_STORE_ARN: keyValueStore.keyValueStoreArn,
        STATUS_FUNCTION_NAME: statusFunction,
        REGIONS: regions.join(','),
      },
    });
    const schedule = new Rule(this, 'Schedule', {
      description: 'Measures the regions',
      schedule: Schedule.rate(MEASURE_EVERY),
      targets: [new LambdaFunction(this.function)],
    });
    this.acknowledgeFindings(schedule);
  }

  private acknowledgeFindings(schedule: Rule): void {
    const reason = 'The event says nothing but "now": the next one, a minute later, makes up for one that failed.';
    Validations.of(schedule).acknowledge({ id: 'Serverless-EventBusDLQ', reason });
    Validations.of(this.function).acknowledge(
      { id: 'Serverless-LambdaAsyncFailureDestination', reason },
      { id: 'NIST.800.53.R5-LambdaInsideVPC', reason: "It calls AWS's own APIs alone, of every region." },
    );
  }
}
