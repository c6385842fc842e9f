import { type CloudFormationClient, DescribeStacksCommand, type Output } from '@aws-sdk/client-cloudformation';
import { GLOBAL_OUTPUTS, GLOBAL_REGION, stackNames } from '../core/resource-names';
import { ControlError, reasonOf } from './errors';
import { type AwsClients, type ControlPlane, createAwsClients } from './plane';
import { type Clock, systemClock } from './polling';

/** Where an environment is deployed. */
export interface Deployment {
  readonly environment: string;
  readonly account: string;
  readonly homeRegion: string;
  readonly regions: readonly string[];
}

/** Connects to a deployed environment: all names are computed, only the global stack's outputs are looked up. */
export async function connectControlPlane(
  deployment: Deployment,
  cloudFormation: CloudFormationClient,
  clients: AwsClients = createAwsClients(),
  clock: Clock = systemClock,
): Promise<ControlPlane> {
  const scope = { environment: deployment.environment, account: deployment.account };
  const stack = stackNames.global(scope);
  const outputs = await readOutputs(cloudFormation, stack);
  return {
    scope,
    homeRegion: deployment.homeRegion,
    regions: deployment.regions,
    distributionId: requireOutput(outputs, stack, GLOBAL_OUTPUTS.distributionId),
    keyValueStoreArn: requireOutput(outputs, stack, GLOBAL_OUTPUTS.keyValueStoreArn),
    clients,
    clock,
  };
}

async function readOutputs(cloudFormation: CloudFormationClient, stack: string): Promise<readonly Output[]> {
  try {
    const { Stacks = [] } = await cloudFormation.send(new DescribeStacksCommand({ StackName: stack }));
    return Stacks[0]?.Outputs ?? [];
  } catch (error) {
    throw new ControlError(`cannot read stack ${stack} in ${GLOBAL_REGION}: ${reasonOf(error)}`);
  }
}

function requireOutput(outputs: readonly Output[], stack: string, key: string): string {
  const value = outputs.find(({ OutputKey }) => OutputKey === key)?.OutputValue;
  if (!value) {
    const known = outputs.map(({ OutputKey }) => OutputKey).join(', ') || 'none';
    throw new ControlError(`stack ${stack} has no output ${key} (it has: ${known}); deploy this version of it first`);
  }
  return value;
}
