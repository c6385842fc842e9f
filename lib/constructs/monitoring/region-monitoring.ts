import { Construct, type IConstruct } from 'constructs';
import { type EnvironmentConfig, namingScope, type RegionConfig } from '../../config';
import { canaryServiceName, edgeServiceName, replicationGroupId } from '../../core/resource-names';
import { Alarms } from './alarms';
import { EdgeMetrics, ValkeyMetrics } from './edge-metrics';
import { addRegionAlarms, type RegionSources } from './region-alarms';
import { addRegionDashboard } from './region-dashboard';
import { hourlyCost } from './running-cost';

export interface RegionMonitoringProps extends Omit<RegionSources, 'edge' | 'valkey' | 'replicas'> {
  readonly config: EnvironmentConfig;
  readonly region: RegionConfig;
  /** Alarms that DNS follows and by which a deployment is taken back: two constructs whose alarms are told of here too. */
  readonly health: IConstruct;
  readonly rollback: IConstruct;
}

/**
 * Alarms and dashboard of one region. They stand in the region's own stack, for they name its load balancer and its queues,
 * and live and die with them.
 */
export class RegionMonitoring extends Construct {
  constructor(scope: Construct, id: string, { config, region, health, rollback, ...resources }: RegionMonitoringProps) {
    super(scope, id);
    const naming = namingScope(config);
    const sources: RegionSources = {
      ...resources,
      edge: new EdgeMetrics(config.name, region.region),
      valkey: new ValkeyMetrics(replicationGroupId(naming), 1 + region.cache.replicas),
      replicas: region.cache.replicas,
    };
    const alarms = new Alarms(this, 'Alarms', { namePrefix: `mlcdn-${config.name}`, settings: config.alarms });
    const dns = alarms.adopt(health, {
      TaskErrors: 'region-errors',
      EntranceErrors: 'region-errors',
      Slow: 'slow-answers',
      NoTask: 'no-task',
    });
    const deployment = alarms.adopt(rollback, {
      Errors: 'region-errors',
      Latency: 'slow-answers',
      CanaryErrors: 'region-errors',
    });
    const failing = [dns.NoTask, dns.EntranceErrors, deployment.Errors].filter((alarm) => alarm !== undefined);
    addRegionAlarms(alarms, sources, failing);
    addRegionDashboard(this, 'Dashboard', {
      name: `mlcdn-${config.name}-${region.region}`,
      sources,
      alarms: alarms.all,
      cost: hourlyCost(region, config.natGateways),
      clusterName: edgeServiceName(naming),
      serviceNames: [edgeServiceName(naming), ...(config.canaryTask ? [canaryServiceName(naming)] : [])],
    });
  }
}
