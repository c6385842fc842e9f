import { z } from 'zod';
import { MetricStore } from '../cloudwatch/metric-store';
import { SecurityGroups } from '../ec2/security-groups';
import { physicalId, physicalName } from '../engine/physical-name';
import { parseProperties } from '../engine/properties';
import type { AwsApi, Resource, ResourceModule, Running } from '../engine/types';
import { BalancerMetrics } from './balancer-metrics';
import type { Certificates } from './certificates';
import { elbApi } from './elb-api';
import { statusMatcher } from './health-check';
import { ListenerActions, listenerAction, RuleConditions } from './listener-rules';
import { Listener, LoadBalancer } from './load-balancer';
import { TargetGroup } from './target-group';

const Attributes = z.array(z.object({ Key: z.string(), Value: z.coerce.string() })).default([]);

const LoadBalancerProperties = z.object({
  Name: z.string().optional(),
  Type: z.literal('application', { error: 'only application load balancers are run here' }).default('application'),
  Scheme: z.enum(['internet-facing', 'internal']).default('internet-facing'),
  SecurityGroups: z.array(z.string()).default([]),
  LoadBalancerAttributes: Attributes,
});

const seconds = (fallback: number) => z.coerce.number().int().positive().default(fallback);

/** Defaults: Elastic Load Balancing, "Health checks for Application Load Balancer target groups". */
const TargetGroupProperties = z.object({
  Name: z.string().optional(),
  Port: z.coerce.number().int().optional(),
  Protocol: z.literal('HTTP', { error: 'targets are only reached over HTTP here' }),
  TargetType: z.literal('ip', { error: 'only targets of type ip are run here' }),
  HealthCheckEnabled: z.literal(true).default(true),
  HealthCheckPath: z.string().startsWith('/').default('/'),
  HealthCheckIntervalSeconds: seconds(30),
  HealthCheckTimeoutSeconds: seconds(5),
  HealthyThresholdCount: seconds(5),
  UnhealthyThresholdCount: seconds(2),
  Matcher: z.object({ HttpCode: z.coerce.string() }).default({ HttpCode: '200' }),
  TargetGroupAttributes: Attributes,
});

const ListenerProperties = z.object({
  LoadBalancerArn: z.string(),
  Port: z.coerce.number().int(),
  Protocol: z.enum(['HTTP', 'HTTPS']),
  Certificates: z.array(z.object({ CertificateArn: z.string() })).default([]),
  DefaultActions: ListenerActions,
});

const RuleProperties = z.object({
  ListenerArn: z.string(),
  Priority: z.coerce.number().int().positive(),
  Conditions: RuleConditions,
  Actions: ListenerActions,
});

/** Elastic Load Balancing: application load balancers as reverse proxies on this machine. */
export class ElbStandIn {
  private readonly balancers = new Map<string, LoadBalancer>();
  private readonly listeners = new Map<string, Listener>();
  private readonly groups = new Map<string, TargetGroup>();

  constructor(
    private readonly certificates: Certificates,
    /** By default nothing is in any security group. */
    private readonly securityGroups = new SecurityGroups(() => undefined),
    /** By default nobody looks at what is measured. */
    private readonly metrics = new MetricStore(),
  ) {}

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::ElasticLoadBalancingV2::LoadBalancer', start: async (resource) => this.startBalancer(resource) },
    { type: 'AWS::ElasticLoadBalancingV2::TargetGroup', start: async (resource) => this.startTargetGroup(resource) },
    { type: 'AWS::ElasticLoadBalancingV2::Listener', start: (resource) => this.startListener(resource) },
    { type: 'AWS::ElasticLoadBalancingV2::ListenerRule', start: async (resource) => this.startRule(resource) },
  ];

  readonly api: AwsApi = elbApi({
    balancers: (region) => [...this.balancers.values()].filter((balancer) => balancer.region === region),
  });

  /** Target group by ARN; throws when there is none. */
  targetGroup(arn: string): TargetGroup {
    return required(this.groups, arn, 'target group');
  }

  /** Measures how many targets are healthy. @param at ms since 1970 */
  measureHosts(at: number): void {
    for (const { targetGroups, metrics } of this.balancers.values()) {
      for (const group of targetGroups) metrics.hosts(group, at);
    }
  }

  /** Load balancer with this DNS name, `dualstack.` before it or not. */
  balancerByDnsName(name: string): LoadBalancer | undefined {
    const wanted = name
      .toLowerCase()
      .replace(/^dualstack\./, '')
      .replace(/\.$/, '');
    return [...this.balancers.values()].find((balancer) => balancer.dnsName === wanted);
  }

  balancerByName(name: string, region: string): LoadBalancer | undefined {
    return [...this.balancers.values()].find((balancer) => balancer.name === name && balancer.region === region);
  }

  private startBalancer(resource: Resource): Running {
    const inert = [
      'EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic',
      'IpAddressType',
      'SubnetMappings',
      'Subnets',
    ];
    const properties = parseProperties(resource, LoadBalancerProperties, inert);
    const name = properties.Name ?? physicalName(resource, 32);
    const id = physicalId('x', resource).slice(2, 18);
    const fullName = `app/${name}/${id}`;
    const arn = `arn:aws:elasticloadbalancing:${resource.region}:${resource.account}:loadbalancer/${fullName}`;
    const dnsName = `${name}-${id}.${resource.region}.elb.amazonaws.com`.toLowerCase();
    const idle = attribute(properties.LoadBalancerAttributes, 'idle_timeout.timeout_seconds', 60);
    const network = { name: `load balancer ${name}`, region: resource.region, groups: properties.SecurityGroups };
    const metrics = new BalancerMetrics(this.metrics, resource.region, fullName);
    this.balancers.set(arn, new LoadBalancer(arn, name, dnsName, network, idle * 1000, metrics));
    return {
      ref: arn,
      attributes: {
        LoadBalancerArn: arn,
        LoadBalancerName: name,
        LoadBalancerFullName: fullName,
        DNSName: dnsName,
        CanonicalHostedZoneID: `Z-ELB-${resource.region}`,
        SecurityGroups: properties.SecurityGroups,
      },
      stop: async () => {
        this.balancers.delete(arn);
      },
    };
  }

  private startTargetGroup(resource: Resource): Running {
    const inert = ['HealthCheckPort', 'HealthCheckProtocol', 'IpAddressType', 'ProtocolVersion', 'VpcId'];
    const properties = parseProperties(resource, TargetGroupProperties, inert);
    const name = properties.Name ?? physicalName(resource, 32);
    const fullName = `targetgroup/${name}/${physicalId('x', resource).slice(2, 18)}`;
    const arn = `arn:aws:elasticloadbalancing:${resource.region}:${resource.account}:${fullName}`;
    const delay = attribute(properties.TargetGroupAttributes, 'deregistration_delay.timeout_seconds', 300);
    const group = new TargetGroup({
      arn,
      deregistrationDelayMs: delay * 1000,
      securityGroups: this.securityGroups,
      healthCheck: {
        path: properties.HealthCheckPath,
        intervalMs: properties.HealthCheckIntervalSeconds * 1000,
        timeoutMs: properties.HealthCheckTimeoutSeconds * 1000,
        healthyThreshold: properties.HealthyThresholdCount,
        unhealthyThreshold: properties.UnhealthyThresholdCount,
        passes: statusMatcher(properties.Matcher.HttpCode),
      },
    });
    this.groups.set(arn, group);
    return {
      ref: arn,
      attributes: { TargetGroupArn: arn, TargetGroupName: name, TargetGroupFullName: fullName },
      stop: async () => group.close(),
    };
  }

  private async startListener(resource: Resource): Promise<Running> {
    const properties = parseProperties(resource, ListenerProperties, ['AlpnPolicy', 'ListenerAttributes', 'SslPolicy']);
    if (properties.Protocol === 'HTTPS' && properties.Certificates.length === 0) {
      throw new Error('Certificates: an HTTPS listener needs a certificate');
    }
    const balancer = required(this.balancers, properties.LoadBalancerArn, 'load balancer');
    const defaultAction = listenerAction(properties.DefaultActions);
    if (defaultAction.kind === 'forward') this.targetGroup(defaultAction.targetGroupArn).attach(balancer.network);
    const id = physicalId('x', resource).slice(2, 18);
    const arn = `${balancer.arn.replace(':loadbalancer/', ':listener/')}/${id}`;
    const listener = new Listener(
      {
        arn,
        balancer: balancer.network,
        protocol: properties.Protocol,
        port: properties.Port,
        certificateNames: properties.Certificates.flatMap(({ CertificateArn }) =>
          this.certificates.names(CertificateArn),
        ),
        defaultAction,
      },
      balancer.idleTimeoutMs,
      (arn) => this.targetGroup(arn),
      balancer.metrics,
    );
    await listener.open();
    balancer.listeners.push(listener);
    this.listeners.set(arn, listener);
    return { ref: arn, attributes: { ListenerArn: arn }, stop: () => listener.close() };
  }

  private startRule(resource: Resource): Running {
    const properties = parseProperties(resource, RuleProperties);
    const listener = required(this.listeners, properties.ListenerArn, 'listener');
    const action = listenerAction(properties.Actions);
    if (action.kind === 'forward') this.targetGroup(action.targetGroupArn).attach(listener.options.balancer);
    const { Priority, Conditions } = properties;
    const arn = `${properties.ListenerArn.replace(':listener/', ':listener-rule/')}/${physicalId('x', resource).slice(2, 18)}`;
    listener.putRule({ arn, priority: Priority, conditions: Conditions, action });
    return { ref: arn, attributes: { RuleArn: arn } };
  }
}

function required<T>(items: ReadonlyMap<string, T>, arn: string, kind: string): T {
  const item = items.get(arn);
  if (!item) throw new Error(`there is no ${kind} ${arn}`);
  return item;
}

function attribute(attributes: z.infer<typeof Attributes>, key: string, fallback: number): number {
  return Number(attributes.find(({ Key }) => Key === key)?.Value ?? fallback);
}
