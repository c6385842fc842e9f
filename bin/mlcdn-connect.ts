import { createRequire } from 'node:module';
import { join } from 'node:path';
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { ConfigError, loadConfig } from '../lib/config';
import { connectControlPlane, type Deployment } from '../lib/control/connect';
import { UsageError } from '../lib/control/errors';
import { readLocalConnection } from '../lib/control/local-connection';
import type { ControlPlane } from '../lib/control/plane';
import { GLOBAL_REGION } from '../lib/core/resource-names';

const PROJECT_ROOT = join(__dirname, '..');

/**
 * Connects to an environment: `local` is the local CDN that runs from this checkout, every other one is in AWS under the
 * SDK's own credentials.
 */
export async function connect(environment: string): Promise<ControlPlane> {
  const deployment = environment === 'local' ? useLocalCdn() : deploymentOf(environment);
  return connectControlPlane(deployment, new CloudFormationClient({ region: GLOBAL_REGION }));
}

/** Points this process's AWS SDK at the local CDN, whose APIs live under names below `localhost`. */
function useLocalCdn(): Deployment {
  const connection = readLocalConnection(join(PROJECT_ROOT, '.mlcdn', 'local.json'));
  Object.assign(process.env, connection.environment);
  createRequire(__filename)(join(PROJECT_ROOT, 'local', 'loopback-names.cjs'));
  const { account, homeRegion, regions } = connection;
  return { environment: 'local', account, homeRegion, regions };
}

function deploymentOf(environment: string): Deployment {
  try {
    const { account, homeRegion, regions } = loadConfig(environment);
    return { environment, account, homeRegion, regions: regions.map(({ region }) => region) };
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.message);
    throw error;
  }
}
