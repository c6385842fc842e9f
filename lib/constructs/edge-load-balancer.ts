import { Duration, Validations } from 'aws-cdk-lib';
import { Certificate, CertificateValidation } from 'aws-cdk-lib/aws-certificatemanager';
import { type IVpc, Peer, Port, SecurityGroup, SubnetType } from 'aws-cdk-lib/aws-ec2';
import type { FargateService } from 'aws-cdk-lib/aws-ecs';
import {
  type ApplicationListener,
  ApplicationLoadBalancer,
  ApplicationProtocol,
  SslPolicy,
  TargetGroupLoadBalancingAlgorithmType,
} from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { IHostedZone } from 'aws-cdk-lib/aws-route53';
import { Construct } from 'constructs';
import { EDGE_IDLE_TIMEOUT, EDGE_READ_TIMEOUT } from './edge-timeouts';

const HTTPS_PORT = 443;

export interface EdgeLoadBalancerProps {
  readonly vpc: IVpc;
  readonly zone: IHostedZone;
  /** Names by which CloudFront calls the load balancer; the certificate carries all of them. At least one. */
  readonly hostnames: readonly [string, ...string[]];
  /** Admits CloudFront only; without it the load balancer is open to the Internet. */
  readonly cloudFrontPrefixListId?: string | undefined;
}

/** One region's public entrance: HTTPS only, with a certificate for the names that CloudFront calls. */
export class EdgeLoadBalancer extends Construct {
  readonly loadBalancer: ApplicationLoadBalancer;
  private readonly listener: ApplicationListener;

  constructor(scope: Construct, id: string, props: EdgeLoadBalancerProps) {
    super(scope, id);
    const [hostname, ...alternatives] = props.hostnames;
    const certificate = new Certificate(this, 'Certificate', {
      domainName: hostname,
      subjectAlternativeNames: alternatives,
      validation: CertificateValidation.fromDns(props.zone),
    });
    const securityGroup = new SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'Edge load balancer: HTTPS in, edge tasks out',
      allowAllOutbound: false,
    });
    this.loadBalancer = new ApplicationLoadBalancer(this, 'LoadBalancer', {
      vpc: props.vpc,
      vpcSubnets: { subnetType: SubnetType.PUBLIC },
      internetFacing: true,
      securityGroup,
      dropInvalidHeaderFields: true,
      idleTimeout: EDGE_READ_TIMEOUT,
      clientKeepAlive: Duration.hours(1),
    });
    this.listener = this.loadBalancer.addListener('Https', {
      port: HTTPS_PORT,
      protocol: ApplicationProtocol.HTTPS,
      sslPolicy: SslPolicy.RECOMMENDED_TLS,
      certificates: [certificate],
      open: false,
    });
    const { cloudFrontPrefixListId } = props;
    const callers = cloudFrontPrefixListId ? Peer.prefixList(cloudFrontPrefixListId) : Peer.anyIpv4();
    securityGroup.addIngressRule(callers, Port.tcp(HTTPS_PORT), 'CloudFront');

    Validations.of(this.loadBalancer).acknowledge({
      id: 'AwsSolutions-ELB2',
      reason:
        'CloudFront sees every request first and the service counts each; a second log of the same requests is not paid for.',
    });
    if (!cloudFrontPrefixListId) {
      Validations.of(securityGroup).acknowledge({
        id: 'AwsSolutions-EC23',
        reason:
          "Latency routing needs public load balancers, and CloudFront's prefix list id differs per region: set cloudFrontPrefixListId to admit CloudFront only. What is served is public in any case.",
      });
    }
  }

  /** Sends requests to the service's tasks while their `/health` answers 200. */
  routeTo(service: FargateService, port: number): void {
    this.listener.addTargets('Edge', {
      port,
      protocol: ApplicationProtocol.HTTP,
      targets: [service],
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
  }
}
