import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import { Certificate, CertificateValidation } from 'aws-cdk-lib/aws-certificatemanager';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { AaaaRecord, ARecord, HostedZone, RecordTarget } from 'aws-cdk-lib/aws-route53';
import { CloudFrontTarget } from 'aws-cdk-lib/aws-route53-targets';
import type { Construct } from 'constructs';
import { type EnvironmentConfig, namingScope } from '../config';
import { nearestOtherRegion } from '../config/topology';
import { DistributionLogs } from '../constructs/access-logs';
import { CostBudget } from '../constructs/cost-budget';
import { EdgeDistribution } from '../constructs/edge-distribution';
import { EdgeFirewall } from '../constructs/edge-firewall';
import { failoverHostname, originHostname, regionHostname } from '../constructs/edge-records';
import { importModelBucket } from '../constructs/model-bucket';
import { GlobalMonitoring } from '../constructs/monitoring/global-monitoring';
import { OriginKeyRotation } from '../constructs/origin-key-rotation';
import { originKeyReferences } from '../constructs/origin-keys';
import { RegionScores } from '../constructs/region-scores';
import { GLOBAL_OUTPUTS } from '../core/resource-names';

export interface GlobalStackProps extends StackProps {
  readonly config: EnvironmentConfig;
}

/** The part that every viewer meets: distribution, certificate and name. */
export class GlobalStack extends Stack {
  constructor(scope: Construct, id: string, { config, ...props }: GlobalStackProps) {
    super(scope, id, props);
    const naming = namingScope(config);
    const domain = config.domain.name;
    const zone = HostedZone.fromHostedZoneAttributes(this, 'Zone', {
      hostedZoneId: config.domain.hostedZoneId,
      zoneName: domain,
    });
    const neighbour = nearestOtherRegion(
      config.homeRegion,
      config.regions.map((row) => row.region),
    );
    const home = importModelBucket(this, 'HomeModels', naming, config.homeRegion);
    const certificate = new Certificate(this, 'Certificate', {
      domainName: domain,
      validation: CertificateValidation.fromDns(zone),
    });
    const edge = new EdgeDistribution(this, 'Edge', {
      namePrefix: `mlcdn-${config.name}`,
      domainName: domain,
      certificate,
      webAclArn: this.firewall(config),
      originKeys: originKeyReferences(naming),
      originHostname: originHostname(domain),
      failoverHostname: neighbour && failoverHostname(domain),
      regionHostnames: new Map(
        config.routing === 'score' ? config.regions.map(({ region }) => [region, regionHostname(domain, region)]) : [],
      ),
      modelBuckets: neighbour ? [home, importModelBucket(this, 'ReplicaModels', naming, neighbour)] : [home],
      defaultModel: config.defaultModel,
    });

    if (config.accessLogDays !== undefined) {
      new DistributionLogs(this, 'AccessLogs', {
        name: `mlcdn-${config.name}`,
        distributionArn: edge.distribution.distributionArn,
        days: config.accessLogDays,
        retain: config.protect,
      });
    }
    if (config.budget) new CostBudget(this, 'Cost', { environment: config.name, ...config.budget });
    const rotation = new OriginKeyRotation(this, 'OriginKeyRotation', {
      naming,
      ...config.originKeyRotation,
      regions: config.regions.map(({ region }) => region),
      distribution: edge.distribution,
      logRetentionDays: config.logRetentionDays,
    });
    new GlobalMonitoring(this, 'Monitoring', {
      config,
      certificate,
      distribution: edge.distribution,
      viewerFunctionName: edge.viewerFunctionName,
      webAclName: config.firewall && `mlcdn-${config.name}`,
      regionScores: this.regionScores(config, edge),
      originKeyRotation: rotation.function,
    });

    const target = RecordTarget.fromAlias(new CloudFrontTarget(edge.distribution));
    new ARecord(this, 'Ipv4', { zone, recordName: domain, target });
    new AaaaRecord(this, 'Ipv6', { zone, recordName: domain, target });

    new CfnOutput(this, GLOBAL_OUTPUTS.distributionId, { value: edge.distribution.distributionId });
    new CfnOutput(this, GLOBAL_OUTPUTS.distributionDomain, { value: edge.distribution.distributionDomainName });
    new CfnOutput(this, GLOBAL_OUTPUTS.keyValueStoreArn, { value: edge.keyValueStore.keyValueStoreArn });
  }

  /** The function that measures the regions, where they are chosen by it. */
  private regionScores(config: EnvironmentConfig, edge: EdgeDistribution): IFunction | undefined {
    if (config.routing !== 'score') return undefined;
    const scores = new RegionScores(this, 'RegionScores', {
      naming: namingScope(config),
      regions: config.regions.map(({ region }) => region),
      keyValueStore: edge.keyValueStore,
      logRetentionDays: config.logRetentionDays,
    });
    return scores.function;
  }

  private firewall({ name, firewall, logRetentionDays }: EnvironmentConfig): string | undefined {
    if (!firewall) return undefined;
    return new EdgeFirewall(this, 'Firewall', { name: `mlcdn-${name}`, ...firewall, logRetentionDays }).webAclArn;
  }
}
