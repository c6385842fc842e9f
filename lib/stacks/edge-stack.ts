import { CfnOutput, Fn, Stack, type StackProps } from 'aws-cdk-lib';
import { Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { HostedZone } from 'aws-cdk-lib/aws-route53';
import type { Construct } from 'constructs';
import { type EnvironmentConfig, namingScope, type RegionConfig } from '../config';
import { regionsFailingOverTo } from '../config/topology';
import { ControlPath } from '../constructs/control-path';
import { EdgeImage } from '../constructs/edge-image';
import { EdgeLoadBalancer } from '../constructs/edge-load-balancer';
import { EdgeNetwork } from '../constructs/edge-network';
import { anyRegionHostname, EdgeRecords, failoverHostname, originHostname } from '../constructs/edge-records';
import { EdgeAlarms, scaleWithLoad } from '../constructs/edge-scaling';
import { EDGE_PORT, EdgeService } from '../constructs/edge-service';
import { importModelBucket } from '../constructs/model-bucket';
import { EdgeMetrics } from '../constructs/monitoring/edge-metrics';
import { RegionMonitoring } from '../constructs/monitoring/region-monitoring';
import { originKeyReferences } from '../constructs/origin-keys';
import { RegionalCache } from '../constructs/regional-cache';
import { RegionalHealth } from '../constructs/regional-health';
import { CANARY_DEPLOYMENT } from '../core/cloudwatch-metrics';
import { canaryServiceName, EDGE_OUTPUTS, edgeServiceName, loadBalancerName } from '../core/resource-names';

export interface EdgeStackProps extends StackProps {
  readonly config: EnvironmentConfig;
  readonly region: RegionConfig;
  /** Build context of the edge service's image. */
  readonly imageContext: string;
}

/** One edge region, whole: network, Valkey, edge service, control path and its part in latency routing. */
export class EdgeStack extends Stack {
  constructor(scope: Construct, id: string, { config, region, imageContext, ...props }: EdgeStackProps) {
    super(scope, id, props);
    const naming = namingScope(config);
    const { logRetentionDays } = config;
    const zone = HostedZone.fromHostedZoneAttributes(this, 'Zone', {
      hostedZoneId: config.domain.hostedZoneId,
      zoneName: config.domain.name,
    });

    const { vpc } = new EdgeNetwork(this, 'Network', {
      availabilityZones: region.availabilityZones,
      natGateways: Math.min(config.natGateways, region.availabilityZones),
      logRetentionDays,
    });
    const cache = new RegionalCache(this, 'Cache', {
      vpc,
      naming,
      ...region.cache,
      logRetentionDays,
    });
    const edge = new EdgeService(this, 'Edge', {
      vpc,
      serviceName: edgeServiceName(naming),
      canaryName: config.canaryTask ? canaryServiceName(naming) : undefined,
      image: new EdgeImage(this, 'Image', imageContext).asset,
      sizes: region.edge,
      region: region.region,
      modelBucket: importModelBucket(this, 'Models', naming, region.region),
      cacheEnvironment: cache.environment('edge'),
      defaultModel: config.defaultModel,
      originUrl: config.originUrl,
      routePolicies: config.routePolicies,
      channelPollSeconds: config.channelPollSeconds,
      logLevel: config.logLevel,
      environment: config.name,
      logRetentionDays,
    });
    cache.allowFrom(edge, 'Edge tasks');
    cache.grantConnect(edge.taskRole, 'edge');

    const entrance = new EdgeLoadBalancer(this, 'Entrance', {
      vpc,
      zone,
      hostnames: [
        originHostname(config.domain.name),
        failoverHostname(config.domain.name),
        anyRegionHostname(config.domain.name),
      ],
      accessLogDays: config.accessLogDays,
      protect: config.protect,
      name: loadBalancerName(naming),
      originKeys: originKeyReferences(naming),
      cloudFrontPrefixListId: region.cloudFrontPrefixListId,
      route53PrefixListId: region.route53PrefixListId,
    });
    const targetGroup = entrance.routeTo(edge.services, EDGE_PORT);
    const health = new RegionalHealth(this, 'Health', {
      loadBalancer: entrance.loadBalancer,
      targetGroup,
      reachableByCheckers: entrance.admitsHealthCheckers,
    });
    const metrics = new EdgeMetrics(config.name, region.region);
    scaleWithLoad({
      service: edge.service,
      otherTasks: edge.canaryTasks,
      targetGroup,
      load: metrics.ofRegion('Load', { statistic: Stats.AVERAGE }),
      sizes: region.edge,
    });
    const canaryMetrics = {
      requests: metrics.ofDeployment(CANARY_DEPLOYMENT, 'Requests'),
      errors: metrics.ofDeployment(CANARY_DEPLOYMENT, 'ServerErrors'),
    };
    const alarms = new EdgeAlarms(this, 'Alarms', targetGroup, edge.canary && canaryMetrics);
    if (config.rollBackOnAlarm) edge.rollBackOn(alarms.all, alarms.ofCanary);
    new EdgeRecords(this, 'Records', {
      zone,
      domain: config.domain.name,
      region: region.region,
      failingOverHere: regionsFailingOverTo(
        region.region,
        config.regions.map((row) => row.region),
      ),
      loadBalancer: entrance.loadBalancer,
      healthCheckId: health.healthCheck.attrHealthCheckId,
    });
    new CfnOutput(this, EDGE_OUTPUTS.healthCheckId, { value: health.healthCheck.attrHealthCheckId });
    const control = new ControlPath(this, 'Control', { naming, vpc, cache, region: region.region, logRetentionDays });
    new RegionMonitoring(this, 'Monitoring', {
      config,
      region,
      health,
      rollback: alarms,
      loadBalancer: entrance.loadBalancer,
      targetGroup,
      certificate: entrance.certificate,
      deadLetterQueues: control.deadLetterQueues,
    });
  }

  /** The region's first zones, whatever the account calls them: no look-up, so synthesis needs no credentials. */
  override get availabilityZones(): string[] {
    return [0, 1, 2].map((index) => Fn.select(index, Fn.getAzs()));
  }
}
