import { Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { type EnvironmentConfig, namingScope } from '../config';
import { ModelBucket } from '../constructs/model-bucket';
import type { RegionCode } from '../core/regions';

export interface ModelsStackProps extends StackProps {
  readonly config: EnvironmentConfig;
  readonly region: RegionCode;
}

/** One region's model bucket; the home region's also replicates to all the others. */
export class ModelsStack extends Stack {
  constructor(scope: Construct, id: string, { config, region, ...props }: ModelsStackProps) {
    super(scope, id, props);
    const replicas = config.regions.map((row) => row.region).filter((other) => other !== config.homeRegion);
    new ModelBucket(this, 'Models', {
      naming: namingScope(config),
      noncurrentDays: config.models.noncurrentDays,
      retain: config.protect,
      replicateTo: region === config.homeRegion ? replicas : [],
      replicationTimeControl: config.models.replicationTimeControl,
    });
  }
}
