import { RemovalPolicy } from 'aws-cdk-lib';
import {
  FlowLogDestination,
  FlowLogTrafficType,
  GatewayVpcEndpointAwsService,
  IpAddresses,
  type IVpc,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

export interface EdgeNetworkProps {
  readonly availabilityZones: number;
  readonly natGateways: number;
  readonly logRetentionDays: RetentionDays;
}

/**
 * One region's network over two or three availability zones: load balancer in public subnets, tasks and Lambdas in private ones
 * with a way out (images, logs, the HTTP origin), Valkey in isolated ones.
 *
 * Models and image layers, nearly all the bytes, come through the free S3 gateway endpoint. The rest goes through NAT:
 * interface endpoints for ECR, CloudWatch Logs and Secrets Manager in every zone cost more than one gateway, and an HTTP origin needs a
 * gateway anyway.
 */
export class EdgeNetwork extends Construct {
  readonly vpc: IVpc;

  constructor(scope: Construct, id: string, props: EdgeNetworkProps) {
    super(scope, id);
    const vpc = new Vpc(this, 'Vpc', {
      ipAddresses: IpAddresses.cidr('10.0.0.0/16'),
      maxAzs: props.availabilityZones,
      natGateways: props.natGateways,
      // Emptying the default group takes a custom resource; nothing is ever placed in that group.
      restrictDefaultSecurityGroup: false,
      subnetConfiguration: [
        { name: 'public', subnetType: SubnetType.PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false },
        { name: 'private', subnetType: SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 20 },
        { name: 'cache', subnetType: SubnetType.PRIVATE_ISOLATED, cidrMask: 24 },
      ],
      gatewayEndpoints: { S3: { service: GatewayVpcEndpointAwsService.S3 } },
    });
    const flowLogs = new LogGroup(this, 'FlowLogs', {
      retention: props.logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    vpc.addFlowLog('RejectedTraffic', {
      destination: FlowLogDestination.toCloudWatchLogs(flowLogs),
      trafficType: FlowLogTrafficType.REJECT,
    });
    // CDK's classes declare `T | undefined` where their interfaces say `?: T`; exactOptionalPropertyTypes tells them apart.
    this.vpc = vpc as IVpc;
  }
}
