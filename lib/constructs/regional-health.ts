import { Duration, Stack } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, Stats, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import {
  type ApplicationLoadBalancer,
  type ApplicationTargetGroup,
  HttpCodeElb,
  HttpCodeTarget,
} from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { CfnHealthCheck } from 'aws-cdk-lib/aws-route53';
import { Construct } from 'constructs';

/** Answers of 5xx in a minute that make a region sick. */
const MAX_ERRORS_PER_MINUTE = 100;

/** Mean response time that makes a region sick, s. A prediction takes milliseconds; the origin's slowest pages, seconds. */
const MAX_RESPONSE_SECONDS = 5;

/** Minutes in a row for which a limit must be exceeded: one bad minute is no reason to move a continent's traffic. */
const SICK_MINUTES = 3;

const ENDPOINT_INTERVAL_SECONDS = 10;
const ENDPOINT_FAILURES = 3;

export interface RegionalHealthProps {
  readonly loadBalancer: ApplicationLoadBalancer;
  readonly targetGroup: ApplicationTargetGroup;
  /** Whether Route 53's checkers get through to the load balancer. */
  readonly reachableByCheckers: boolean;
}

/**
 * What DNS thinks of a region: one calculated health check over CloudWatch alarms (5xx answers, response time, tasks that
 * serve) and, where its checkers get through, over `/health` as Route 53 itself sees it. All must be well. An alarm
 * without data counts as well, so a region without traffic stays.
 *
 * The alarms count errors instead of taking their share: Route 53 knows neither metric math nor "M out of N" alarms.
 * Source: Route 53 developer guide, "Monitoring a CloudWatch alarm". An operator's drain disables and inverts the
 * calculated check, which Route 53 then takes for unhealthy whatever its parts say.
 */
export class RegionalHealth extends Construct {
  readonly healthCheck: CfnHealthCheck;

  constructor(scope: Construct, id: string, props: RegionalHealthProps) {
    super(scope, id);
    const parts = [...this.alarms(props).map((alarm) => this.checkOf(alarm))];
    if (props.reachableByCheckers) parts.push(this.endpointCheck(props.loadBalancer));
    this.healthCheck = new CfnHealthCheck(this, 'Region', {
      healthCheckConfig: {
        type: 'CALCULATED',
        childHealthChecks: parts.map((part) => part.attrHealthCheckId),
        healthThreshold: parts.length,
      },
      healthCheckTags: [{ key: 'Name', value: `${Stack.of(this).stackName}-region` }],
    });
  }

  private alarms({ loadBalancer, targetGroup }: RegionalHealthProps): Alarm[] {
    const period = Duration.minutes(1);
    const sum = { period, statistic: Stats.SUM };
    const above = (
      id: string,
      alarmDescription: string,
      metric: ReturnType<ApplicationTargetGroup['metrics']['custom']>,
      threshold: number,
    ) =>
      new Alarm(this, id, {
        alarmDescription,
        metric,
        threshold,
        comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
        evaluationPeriods: SICK_MINUTES,
        treatMissingData: TreatMissingData.NOT_BREACHING,
      });
    return [
      above(
        'TaskErrors',
        'Edge tasks answer 5xx',
        targetGroup.metrics.httpCodeTarget(HttpCodeTarget.TARGET_5XX_COUNT, sum),
        MAX_ERRORS_PER_MINUTE,
      ),
      above(
        'EntranceErrors',
        'The load balancer finds no edge task to answer',
        loadBalancer.metrics.httpCodeElb(HttpCodeElb.ELB_5XX_COUNT, sum),
        MAX_ERRORS_PER_MINUTE,
      ),
      above(
        'Slow',
        'Edge tasks answer slowly',
        targetGroup.metrics.targetResponseTime({ period, statistic: Stats.AVERAGE }),
        MAX_RESPONSE_SECONDS,
      ),
      new Alarm(this, 'NoTask', {
        alarmDescription: 'No edge task passes its health check',
        metric: targetGroup.metrics.healthyHostCount({ period, statistic: Stats.MAXIMUM }),
        threshold: 1,
        comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
        evaluationPeriods: SICK_MINUTES,
        treatMissingData: TreatMissingData.NOT_BREACHING,
      }),
    ];
  }

  private checkOf(alarm: Alarm): CfnHealthCheck {
    return new CfnHealthCheck(this, `${alarm.node.id}Check`, {
      healthCheckConfig: {
        type: 'CLOUDWATCH_METRIC',
        alarmIdentifier: { name: alarm.alarmName, region: Stack.of(this).region },
        insufficientDataHealthStatus: 'Healthy',
      },
      healthCheckTags: [{ key: 'Name', value: `${Stack.of(this).stackName}-${alarm.node.id}` }],
    });
  }

  /** By the load balancer's own name, which never leads elsewhere; Route 53 does not look at the certificate's names. */
  private endpointCheck(loadBalancer: ApplicationLoadBalancer): CfnHealthCheck {
    return new CfnHealthCheck(this, 'EndpointCheck', {
      healthCheckConfig: {
        type: 'HTTPS',
        fullyQualifiedDomainName: loadBalancer.loadBalancerDnsName,
        port: 443,
        resourcePath: '/health',
        requestInterval: ENDPOINT_INTERVAL_SECONDS,
        failureThreshold: ENDPOINT_FAILURES,
        enableSni: true,
      },
      healthCheckTags: [{ key: 'Name', value: `${Stack.of(this).stackName}-endpoint` }],
    });
  }
}
