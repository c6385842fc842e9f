import { Duration, Validations } from 'aws-cdk-lib';
import { Certificate, CertificateValidation } from 'aws-cdk-lib/aws-certificatemanager';
import { type IVpc, Peer, Port, SecurityGroup, SubnetType } from 'aws-cdk-lib/aws-ec2';
import type { FargateService } from 'aws-cdk-lib/aws-ecs';
import {
  type ApplicationListener,
  ApplicationLoadBalancer,
  ApplicationProtocol,
  type ApplicationTargetGroup,
  CfnLoadBalancer,
  ListenerAction,
  ListenerCondition,
  SslPolicy,
  TargetGroupLoadBalancingAlgorithmType,
} from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { IHostedZone } from 'aws-cdk-lib/aws-route53';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { ORIGIN_KEY_HEADERS, ORIGIN_KEYS, type OriginKey } from '../core/origin-keys';
import { AccessLogBucket } from './access-logs';
import { EDGE_IDLE_TIMEOUT, EDGE_READ_TIMEOUT } from './edge-timeouts';

const HTTPS_PORT = 443;

/** Order of the rules that ask for a key. */
const KEY_PRIORITIES: Readonly<Record<OriginKey, number>> = { first: 10, second: 20 };

export interface EdgeLoadBalancerProps {
  readonly vpc: IVpc;
  readonly zone: IHostedZone;
  /** Names by which CloudFront calls the load balancer; the certificate carries all of them. At least one. */
  readonly hostnames: readonly [string, ...string[]];
  /** Name, by which the function finds it that rotates the keys. */
  readonly name: string;
  /** Keys, one of which a request must show in its header; all others are answered 403. */
  readonly originKeys: Readonly<Record<OriginKey, string>>;
  /** Days that access logs are kept; absent: none are written. */
  readonly accessLogDays?: number | undefined;
  /** Refuses to be deleted, and keeps the logs when the stack is. */
  readonly protect: boolean;
  /** Admits CloudFront's addresses only; without it the keys alone keep others out. */
  readonly cloudFrontPrefixListId?: string | undefined;
  /** Admits Route 53's health checkers too. */
  readonly route53PrefixListId?: string | undefined;
}

/**
 * One region's public entrance: HTTPS only, with a certificate for the names that CloudFront calls. Two locks, for either
 * alone has a hole: the addresses are CloudFront's, which every customer's distribution shares, and the key is ours.
 */
export class EdgeLoadBalancer extends Construct {
  readonly loadBalancer: ApplicationLoadBalancer;
  readonly certificate: Certificate;
  /** Whether Route 53's health checkers get through. */
  readonly admitsHealthCheckers: boolean;
  private readonly listener: ApplicationListener;
  private readonly originKeys: EdgeLoadBalancerProps['originKeys'];

  constructor(scope: Construct, id: string, props: EdgeLoadBalancerProps) {
    super(scope, id);
    this.originKeys = props.originKeys;
    const [hostname, ...alternatives] = props.hostnames;
    this.certificate = new Certificate(this, 'Certificate', {
      domainName: hostname,
      subjectAlternativeNames: alternatives,
      validation: CertificateValidation.fromDns(props.zone),
    });
    const securityGroup = new SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'Edge load balancer: HTTPS from CloudFront in, edge tasks out',
      allowAllOutbound: false,
    });
    const { cloudFrontPrefixListId } = props;
    const addresses = cloudFrontPrefixListId ? Peer.prefixList(cloudFrontPrefixListId) : Peer.anyIpv4();
    securityGroup.addIngressRule(addresses, Port.tcp(HTTPS_PORT), 'CloudFront');
    this.loadBalancer = new ApplicationLoadBalancer(this, 'LoadBalancer', {
      loadBalancerName: props.name,
      vpc: props.vpc,
      vpcSubnets: { subnetType: SubnetType.PUBLIC },
      internetFacing: true,
      securityGroup,
      dropInvalidHeaderFields: true,
      deletionProtection: props.protect,
      idleTimeout: EDGE_READ_TIMEOUT,
      clientKeepAlive: Duration.hours(1),
    });
    this.listener = this.loadBalancer.addListener('Https', {
      port: HTTPS_PORT,
      protocol: ApplicationProtocol.HTTPS,
      sslPolicy: SslPolicy.RECOMMENDED_TLS,
      certificates: [this.certificate],
      open: false,
      defaultAction: ListenerAction.fixedResponse(403, {
        contentType: 'application/json',
        messageBody: JSON.stringify({ error: { code: 'forbidden', message: 'this address answers the CDN only' } }),
      }),
    });

    this.admitsHealthCheckers = cloudFrontPrefixListId === undefined || props.route53PrefixListId !== undefined;
    if (cloudFrontPrefixListId && props.route53PrefixListId)
      this.admitCheckers(securityGroup, props.vpc, props.route53PrefixListId);

    if (props.accessLogDays === undefined) {
      const reason = 'This environment pays for no access logs; the service counts every request.';
      const findings = ['AwsSolutions-ELB2', 'NIST.800.53.R5-ELBLoggingEnabled'];
      Validations.of(this.loadBalancer).acknowledge(...findings.map((id) => ({ id, reason })));
    } else {
      const logs = new AccessLogBucket(this, 'AccessLogs', { days: props.accessLogDays, retain: props.protect });
      // The assertion is for exactOptionalPropertyTypes alone; see EdgeNetwork.
      this.loadBalancer.logAccessLogs(logs.bucket as IBucket, 'edge');
    }
    if (!cloudFrontPrefixListId) {
      Validations.of(securityGroup).acknowledge({
        id: 'AwsSolutions-EC23',
        reason:
          "AWS has published no prefix list id of this region: until its row has cloudFrontPrefixListId, the listener's keys alone keep others out.",
      });
    }
  }

  /** A group of their own: both prefix lists together, 55 and 25, would exceed the 60 rules of one. */
  private admitCheckers(callers: SecurityGroup, vpc: IVpc, prefixListId: string): void {
    const checkers = new SecurityGroup(this, 'HealthCheckers', {
      vpc,
      description: 'Edge load balancer: Route 53 health checkers in',
      allowAllOutbound: false,
    });
    checkers.addIngressRule(Peer.prefixList(prefixListId), Port.tcp(HTTPS_PORT), 'Route 53 health checkers');
    // Not by addSecurityGroup, which would repeat every rule towards the tasks for this group.
    const resource = this.loadBalancer.node.defaultChild;
    if (!(resource instanceof CfnLoadBalancer)) throw new Error('the load balancer has no CfnLoadBalancer');
    resource.securityGroups = [callers.securityGroupId, checkers.securityGroupId];
  }

  /** Sends requests to the services' tasks while their `/health` answers 200; all tasks are one group. */
  routeTo(services: readonly FargateService[], port: number): ApplicationTargetGroup {
    const group = this.listener.addTargets('Edge', {
      priority: KEY_PRIORITIES.first,
      conditions: [this.shows('first')],
      port,
      protocol: ApplicationProtocol.HTTP,
      targets: [...services],
      loadBalancingAlgorithmType: TargetGroupLoadBalancingAlgorithmType.ROUND_ROBIN,
      deregistrationDelay: EDGE_IDLE_TIMEOUT,
      healthCheck: {
        path: '/health',
        healthyHttpCodes: '200',
        interval: Duration.seconds(5),
        timeout: Duration.seconds(3),
        healthyThresholdCount: 2,
        unhealthyThresholdCount: 2,
      },
    });
    // A rule of its own for each key: one can be changed while requests come through by the other.
    for (const key of ORIGIN_KEYS.filter((other) => other !== 'first')) {
      this.listener.addAction(`Key-${key}`, {
        priority: KEY_PRIORITIES[key],
        conditions: [this.shows(key)],
        action: ListenerAction.forward([group]),
      });
    }
    if (this.admitsHealthCheckers) {
      // Route 53 sends no header of ours. The CDN shows this page to everybody as well.
      this.listener.addAction('Health', {
        priority: 5,
        conditions: [ListenerCondition.pathPatterns(['/health'])],
        action: ListenerAction.forward([group]),
      });
    }
    return group;
  }

  private shows(key: OriginKey): ListenerCondition {
    return ListenerCondition.httpHeader(ORIGIN_KEY_HEADERS[key], [this.originKeys[key]]);
  }
}
