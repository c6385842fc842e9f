import { Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { type EnvironmentConfig, namingScope } from '../config';
import { OriginKeys } from '../constructs/origin-keys';
import { GLOBAL_REGION } from '../core/resource-names';

export interface KeysStackProps extends StackProps {
  readonly config: EnvironmentConfig;
}

/** In the home region: the keys that CloudFront shows to the edges, with replicas wherever a template refers to them. */
export class KeysStack extends Stack {
  constructor(scope: Construct, id: string, { config, ...props }: KeysStackProps) {
    super(scope, id, props);
    const users = new Set<string>([...config.regions.map(({ region }) => region), GLOBAL_REGION]);
    users.delete(config.homeRegion);
    new OriginKeys(this, 'OriginKeys', {
      naming: namingScope(config),
      keys: config.originKeys,
      replicaRegions: [...users].sort(),
    });
  }
}
