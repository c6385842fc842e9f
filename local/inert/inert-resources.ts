import { physicalId, physicalName } from '../engine/physical-name';
import type { Resource, ResourceModule } from '../engine/types';

/** A resource type that does nothing on one machine: how `Ref` and attributes are made, so that others can point at it. */
interface InertType {
  readonly ref: (resource: Resource) => string;
  readonly attributes?: Readonly<Record<string, (resource: Resource) => unknown>>;
}

const arn = (service: string, path: (resource: Resource) => string) => (resource: Resource) =>
  `arn:aws:${service}:${resource.region}:${resource.account}:${path(resource)}`;
const id = (prefix: string) => (resource: Resource) => physicalId(prefix, resource);
const name = (resource: Resource) => physicalName(resource);
const given = (property: string) => (resource: Resource) => {
  const value = resource.properties[property];
  return typeof value === 'string' ? value : physicalName(resource);
};
const withId = (prefix: string, idAttribute = 'Id'): InertType => ({
  ref: id(prefix),
  attributes: { [idAttribute]: id(prefix) },
});

/**
 * Network, log, dashboard and scaling resources: real on AWS, without behaviour here. A type that is not listed,
 * or an attribute that a row does not make, is an error, never a guess.
 */
const INERT_TYPES: Readonly<Record<string, InertType>> = {
  'AWS::ApplicationAutoScaling::ScalableTarget': {
    ref: (r) => [r.properties.ResourceId, r.properties.ScalableDimension, r.properties.ServiceNamespace].join('|'),
  },
  'AWS::ApplicationAutoScaling::ScalingPolicy': { ref: arn('autoscaling', (r) => `scalingPolicy:${name(r)}`) },
  'AWS::CDK::Metadata': { ref: name },
  'AWS::CloudWatch::Dashboard': { ref: given('DashboardName') },
  'AWS::EC2::EIP': {
    ref: id('eipalloc'),
    attributes: { AllocationId: id('eipalloc'), PublicIp: () => '192.0.2.1' },
  },
  'AWS::EC2::InternetGateway': withId('igw', 'InternetGatewayId'),
  'AWS::EC2::NatGateway': withId('nat', 'NatGatewayId'),
  'AWS::EC2::Route': { ref: name },
  'AWS::EC2::RouteTable': withId('rtb', 'RouteTableId'),
  'AWS::EC2::Subnet': {
    ref: id('subnet'),
    attributes: {
      SubnetId: id('subnet'),
      AvailabilityZone: (r) => r.properties.AvailabilityZone,
      CidrBlock: (r) => r.properties.CidrBlock,
      VpcId: (r) => r.properties.VpcId,
    },
  },
  'AWS::EC2::SubnetRouteTableAssociation': withId('rtbassoc'),
  'AWS::EC2::VPC': {
    ref: id('vpc'),
    attributes: {
      VpcId: id('vpc'),
      CidrBlock: (r) => r.properties.CidrBlock,
      DefaultSecurityGroup: id('sg'),
      DefaultNetworkAcl: id('acl'),
    },
  },
  'AWS::EC2::VPCEndpoint': withId('vpce'),
  'AWS::EC2::VPCGatewayAttachment': { ref: name },
  'AWS::KMS::Key': { ref: id('key'), attributes: { Arn: arn('kms', (r) => `key/${id('key')(r)}`) } },
  'AWS::Logs::LogGroup': {
    ref: given('LogGroupName'),
    attributes: { Arn: arn('logs', (r) => `log-group:${given('LogGroupName')(r)}:*`) },
  },
  'AWS::Logs::MetricFilter': { ref: name },
};

/** One module for each type of the table. */
export const inertModules: readonly ResourceModule[] = Object.entries(INERT_TYPES).map(
  ([type, { ref, attributes = {} }]): ResourceModule => ({
    type,
    start: async (resource) => ({
      ref: ref(resource),
      attributes: Object.fromEntries(Object.entries(attributes).map(([key, make]) => [key, make(resource)])),
    }),
  }),
);
