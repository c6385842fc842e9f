import { Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { type EnvironmentConfig, namingScope } from '../config';
import { OriginKeys } from '../constructs/origin-keys';
import { GLOBAL_REGION } from '../core/resource-names';

export interface KeysStackProps extends StackProps {
  readonly config: EnvironmentConfig;
}

/**
 * The keys that CloudFront shows to the edges, with replicas wherever a listener checks them. In `GLOBAL_REGION`, for the
 * function that rotates them must be in their region and belongs to the distribution.
 */
export class KeysStack extends Stack {
  constructor(scope: Construct, id: string, { config, ...props }: KeysStackProps) {
    super(scope, id, props);
    const regions = config.regions.map(({ region }) => region as string);
    new OriginKeys(this, 'OriginKeys', {
      naming: namingScope(config),
      replicaRegions: regions.filter((region) => region !== GLOBAL_REGION).sort(),
    });
  }
}
