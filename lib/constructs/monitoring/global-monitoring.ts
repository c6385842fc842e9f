import { Duration } from 'aws-cdk-lib';
import type { ICertificate } from 'aws-cdk-lib/aws-certificatemanager';
import type { Distribution } from 'aws-cdk-lib/aws-cloudfront';
import { Dashboard, type IMetric, MathExpression, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import type { EnvironmentConfig } from '../../config';
import { Alarms } from './alarms';
import { EdgeMetrics } from './edge-metrics';
import { CERTIFICATE_DAYS } from './region-alarms';
import { alarmStates, type Graph, row } from './widgets';

const MINUTE = Duration.minutes(1);
const FIVE_MINUTES = Duration.minutes(5);

export interface GlobalMonitoringProps {
  readonly config: EnvironmentConfig;
  readonly distribution: Distribution;
  readonly certificate: ICertificate;
  /** Name of the CloudFront Function of the viewer-request event. */
  readonly viewerFunctionName: string;
  /** Name in metrics of the web ACL; absent: there is none. */
  readonly webAclName?: string | undefined;
  /** The function that measures the regions; absent where they are not chosen by score. */
  readonly regionScores?: IFunction | undefined;
  /** The function that rotates the origin keys. */
  readonly originKeyRotation: IFunction;
}

/**
 * Alarms and dashboard of what every viewer meets. Must stand in us-east-1, where CloudFront, its functions, its firewall
 * and the bill have their metrics.
 */
export class GlobalMonitoring extends Construct {
  constructor(
    scope: Construct,
    id: string,
    private readonly props: GlobalMonitoringProps,
  ) {
    super(scope, id);
    const { config } = props;
    const alarms = new Alarms(this, 'Alarms', { namePrefix: `mlcdn-${config.name}-global`, settings: config.alarms });
    this.addDistributionAlarms(alarms);
    this.addGuardAlarms(alarms);
    const dashboard = new Dashboard(this, 'Dashboard', {
      dashboardName: `mlcdn-${config.name}-global`,
      defaultInterval: Duration.hours(3),
    });
    dashboard.addWidgets(alarmStates('Alarms', alarms.all));
    dashboard.addWidgets(...row(...this.viewers()));
    dashboard.addWidgets(...row(...this.popCache()));
    dashboard.addWidgets(...row(...this.programs()));
    dashboard.addWidgets(...row(...this.regions()));
  }

  private addDistributionAlarms(alarms: Alarms): void {
    const { distribution, certificate, viewerFunctionName, regionScores } = this.props;
    alarms.add('cdn-errors', {
      runbook: 'cdn-errors',
      meaning: 'Over 1 % of what viewers get is 5xx',
      metric: distribution.metric5xxErrorRate({ period: MINUTE }),
      above: 1,
      periods: 3,
      outOf: 5,
    });
    alarms.add('cdn-origin-latency', {
      runbook: 'cdn-origin-latency',
      meaning: 'One in a hundred misses at CloudFront waits over two seconds for its first byte',
      metric: distribution.metricOriginLatency({ period: FIVE_MINUTES, statistic: 'p99' }),
      above: 2_000,
      periods: 3,
    });
    alarms.add('viewer-function', {
      runbook: 'viewer-function',
      meaning: `${viewerFunctionName} fails, answers what CloudFront does not take, or is throttled: viewers get 5xx`,
      metric: new MathExpression({
        expression: 'FILL(execution, 0) + FILL(validation, 0) + FILL(throttles, 0)',
        usingMetrics: {
          execution: this.ofFunction('FunctionExecutionErrors'),
          validation: this.ofFunction('FunctionValidationErrors'),
          throttles: this.ofFunction('FunctionThrottles'),
        },
        label: 'failed calls',
        period: MINUTE,
      }),
      above: 0,
      periods: 3,
      outOf: 5,
    });
    alarms.add('certificate-expiry', {
      runbook: 'certificate-expiry',
      meaning: `The distribution's certificate ends within ${CERTIFICATE_DAYS} days and was not renewed`,
      metric: certificate.metricDaysToExpiry({ period: Duration.days(1) }),
      below: CERTIFICATE_DAYS,
      periods: 1,
    });
    if (regionScores) {
      alarms.add('region-scores', {
        runbook: 'region-scores',
        meaning: 'The regions were not measured for five minutes: their scores are too old, and latency alone routes',
        metric: regionScores.metricErrors({ period: MINUTE }),
        above: 0,
        periods: 5,
      });
    }
  }

  private addGuardAlarms(alarms: Alarms): void {
    const { config, originKeyRotation, webAclName } = this.props;
    alarms.add('origin-key-rotation', {
      runbook: 'origin-key-rotation',
      meaning: 'A step of rotating the origin keys failed: they stay as they are, and an old one is in use for longer',
      metric: originKeyRotation.metricErrors({ period: Duration.hours(1) }),
      above: 0,
      periods: 1,
    });
    if (webAclName !== undefined) {
      alarms.add('firewall-blocks', {
        runbook: 'firewall-blocks',
        meaning: 'The firewall turns away over a fifth of the requests: an attack, or a rule that hits callers',
        metric: new MathExpression({
          expression: 'IF(blocked + allowed > 1000, 100 * blocked / (blocked + allowed), 0)',
          usingMetrics: {
            blocked: ofFirewall(webAclName, 'BlockedRequests', FIVE_MINUTES),
            allowed: ofFirewall(webAclName, 'AllowedRequests', FIVE_MINUTES),
          },
          label: 'blocked, percent',
          period: FIVE_MINUTES,
        }),
        above: 20,
        periods: 2,
      });
    }
    if (config.budget) {
      alarms.add('budget', {
        runbook: 'budget',
        meaning: `The account has spent more than the ${config.budget.monthlyUsd} USD that ${config.name} may cost in a month`,
        metric: new Metric({
          namespace: 'AWS/Billing',
          metricName: 'EstimatedCharges',
          dimensionsMap: { Currency: 'USD' },
          statistic: Stats.MAXIMUM,
          // The bill is estimated a few times a day.
          period: Duration.hours(6),
        }),
        above: config.budget.monthlyUsd,
        periods: 1,
      });
    }
  }

  private viewers(): Graph[] {
    const { distribution, webAclName } = this.props;
    const period = MINUTE;
    const blocked = webAclName === undefined ? [] : [ofFirewall(webAclName, 'BlockedRequests', MINUTE)];
    return [
      {
        title: 'Requests a minute',
        metrics: [distribution.metricRequests({ period, statistic: Stats.SUM }), ...blocked],
      },
      {
        title: 'Error rate',
        metrics: [distribution.metric5xxErrorRate({ period }), distribution.metric4xxErrorRate({ period })],
        unit: '%',
      },
      {
        title: 'Bytes a minute',
        metrics: [
          distribution.metricBytesDownloaded({ period, statistic: Stats.SUM }),
          distribution.metricBytesUploaded({ period, statistic: Stats.SUM }),
        ],
      },
    ];
  }

  private popCache(): Graph[] {
    const { distribution } = this.props;
    const originLatency = (statistic: string) =>
      distribution.metricOriginLatency({ period: MINUTE, statistic, label: statistic });
    return [
      {
        title: 'Hit rate at the POPs',
        metrics: [distribution.metricCacheHitRate({ period: MINUTE })],
        unit: '%',
        max: 100,
      },
      { title: 'Time to the first byte of misses', metrics: ['p50', 'p95', 'p99'].map(originLatency), unit: 'ms' },
    ];
  }

  private programs(): Graph[] {
    const { originKeyRotation, regionScores } = this.props;
    const failures = ['FunctionExecutionErrors', 'FunctionValidationErrors', 'FunctionThrottles'];
    return [
      {
        title: 'Viewer-request function and its KeyValueStore look-ups: failures',
        metrics: failures.map((name) => this.ofFunction(name)),
        right: [this.ofFunction('FunctionInvocations')],
      },
      {
        title: 'Viewer-request function: share of its allowed time',
        metrics: [this.ofFunction('FunctionComputeUtilization', Stats.MAXIMUM)],
        unit: '%',
        max: 100,
      },
      ...(regionScores
        ? [
            {
              title: 'Measuring the regions',
              metrics: [regionScores.metricErrors({ period: MINUTE })],
              right: [regionScores.metricDuration({ period: MINUTE, statistic: Stats.MAXIMUM })],
            },
          ]
        : []),
      {
        title: 'Rotating the origin keys',
        metrics: [originKeyRotation.metricErrors({ period: FIVE_MINUTES })],
        right: [originKeyRotation.metricDuration({ period: FIVE_MINUTES, statistic: Stats.MAXIMUM })],
      },
    ];
  }

  /** A region's metrics are where the region is; a dashboard may look there. */
  private regions(): Graph[] {
    const { config } = this.props;
    const perRegion = (read: (edge: EdgeMetrics) => Metric) =>
      config.regions.map(({ region }) => read(new EdgeMetrics(config.name, region)).with({ region, label: region }));
    return [
      { title: 'Requests a minute, by region', metrics: perRegion((edge) => edge.ofRegion('Requests')) },
      { title: '5xx a minute, by region', metrics: perRegion((edge) => edge.ofRegion('ServerErrors')) },
      {
        title: 'Invalidation lag, by region',
        metrics: perRegion((edge) => edge.ofRegion('InvalidationLagSeconds', { statistic: Stats.MAXIMUM })),
        unit: 's',
      },
    ];
  }

  private ofFunction(metricName: string, statistic: string = Stats.SUM): IMetric {
    return new Metric({
      namespace: 'AWS/CloudFront',
      metricName,
      dimensionsMap: { FunctionName: this.props.viewerFunctionName, Region: 'Global' },
      statistic,
      period: MINUTE,
    });
  }
}

function ofFirewall(webAclName: string, metricName: string, period: Duration): IMetric {
  return new Metric({
    namespace: 'AWS/WAFV2',
    metricName,
    dimensionsMap: { WebACL: webAclName, Rule: 'ALL' },
    statistic: Stats.SUM,
    period,
  });
}
