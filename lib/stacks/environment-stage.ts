import { type Environment, Stack, Stage, Tags } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { type EnvironmentConfig, namingScope } from '../config';
import { acceptFindings } from '../constructs/accepted-findings';
import { ENVIRONMENT_TAG } from '../constructs/cost-budget';
import { buildEdgeImageContext } from '../constructs/edge-image';
import { GLOBAL_REGION, stackNames } from '../core/resource-names';
import { EdgeStack } from './edge-stack';
import { GlobalStack } from './global-stack';
import { KeysStack } from './keys-stack';
import { ModelsStack } from './models-stack';

/**
 * One environment: model buckets and an edge per region, the keys and the global part once. Stacks deploy in the order
 * keys and replicas -> home bucket -> edges -> distribution, for each needs the former to exist; none refers to another's resources.
 */
export class EnvironmentStage extends Stage {
  constructor(scope: Construct, config: EnvironmentConfig) {
    super(scope, config.name, { env: { account: config.account, region: config.homeRegion } });
    const naming = namingScope(config);
    const env = (region: string): Environment => ({ account: config.account, region });

    const models = config.regions.map(({ region }) => {
      const stackName = stackNames.models(naming, region);
      return new ModelsStack(this, `models-${region}`, { stackName, env: env(region), config, region });
    });
    const home = models.find((stack) => stack.region === config.homeRegion);
    if (!home) throw new Error(`no model stack for the home region ${config.homeRegion}`);
    for (const replica of models)
      if (replica !== home) home.addStackDependency(replica, 'replication needs its destinations');

    const keys = new KeysStack(this, 'keys', {
      stackName: stackNames.keys(naming),
      env: env(GLOBAL_REGION),
      config,
    });

    const imageContext = buildEdgeImageContext();
    const edges = config.regions.map((row) => {
      const stackName = stackNames.edge(naming, row.region);
      const edge = new EdgeStack(this, `edge-${row.region}`, {
        stackName,
        env: env(row.region),
        config,
        region: row,
        imageContext,
      });
      edge.addStackDependency(keys, 'listeners check the keys that CloudFront shows');
      edge.addStackDependency(home, 'tasks read models when they start');
      return edge;
    });

    const global = new GlobalStack(this, 'global', {
      stackName: stackNames.global(naming),
      env: env(GLOBAL_REGION),
      config,
    });
    for (const edge of edges) global.addStackDependency(edge, 'the distribution calls the edges by name');

    for (const stack of this.node.children) if (Stack.isStack(stack)) stack.terminationProtection = config.protect;
    acceptFindings(this);
    Tags.of(this).add(ENVIRONMENT_TAG, config.name);
  }
}
