import { AWS_REGIONS, type RegionCode } from '../core/regions';
import type { PlannedResource, PlannedStack } from './deploy-assembly';
import { ControlError } from './errors';

/** A quota that an environment needs raised before it is deployed. */
export interface QuotaRaise {
  readonly region: string;
  readonly service: string;
  readonly quota: string;
  /** Quota code of Service Quotas. */
  readonly code: string;
  readonly default: number;
  readonly needed: number;
}

/** What deploying an environment takes, in order. */
export interface DeployPlan {
  readonly account: string;
  /** Regions that the account must enable first. */
  readonly optInRegions: readonly string[];
  /** Regions in which CDK must be bootstrapped. */
  readonly bootstrapRegions: readonly string[];
  readonly quotas: readonly QuotaRaise[];
  /** Stacks that may be deployed at the same time, wave by wave. */
  readonly waves: readonly (readonly PlannedDeployment[])[];
}

/** A stack as it is told to people and programs. */
export type PlannedDeployment = Pick<PlannedStack, 'path' | 'stackName' | 'region'>;

interface Quota extends Pick<QuotaRaise, 'service' | 'quota' | 'code' | 'default'> {
  readonly needed: (resources: readonly PlannedResource[]) => number;
}

/** Defaults of a new account. Source: Service Quotas. */
const QUOTAS: readonly Quota[] = [
  {
    service: 'fargate',
    quota: 'Fargate On-Demand vCPU resource count',
    code: 'L-3032A538',
    default: 6,
    needed: (resources) => tasksUnderFullLoad(resources) * cpuOfTask(resources),
  },
  {
    service: 'ec2',
    quota: 'EC2-VPC Elastic IPs',
    code: 'L-0263D0A3',
    default: 5,
    needed: (resources) => resources.filter(({ type }) => type === 'AWS::EC2::EIP').length,
  },
];

/**
 * The order in which an environment's stacks deploy, and what must be there before the first.
 * @throws ControlError when the stacks depend on each other in a circle or stand in several accounts.
 */
export function planDeployment(stacks: readonly PlannedStack[]): DeployPlan {
  const [account, ...others] = new Set(stacks.map((stack) => stack.account));
  if (account === undefined || others.length > 0) {
    throw new ControlError(
      `the assembly must have the stacks of one account, got ${others.length + Number(!!account)}`,
    );
  }
  const regions = [...new Set(stacks.map(({ region }) => region))].sort();
  return {
    account,
    optInRegions: regions.filter((region) => AWS_REGIONS[region as RegionCode]?.optIn),
    bootstrapRegions: regions,
    quotas: regions.flatMap((region) => raisesOf(region, stacks)),
    waves: wavesOf(stacks).map((wave) => wave.map(({ path, stackName, region }) => ({ path, stackName, region }))),
  };
}

function raisesOf(region: string, stacks: readonly PlannedStack[]): QuotaRaise[] {
  const resources = stacks.filter((stack) => stack.region === region).flatMap((stack) => stack.resources);
  return QUOTAS.map(({ needed, ...quota }) => ({ region, ...quota, needed: Math.ceil(needed(resources)) })).filter(
    (raise) => raise.needed > raise.default,
  );
}

/** Each stack in the first wave after all that it depends on. */
function wavesOf(stacks: readonly PlannedStack[]): PlannedStack[][] {
  const waves: PlannedStack[][] = [];
  const deployed = new Set<string>();
  while (deployed.size < stacks.length) {
    const wave = stacks.filter(
      ({ id, dependencies }) => !deployed.has(id) && dependencies.every((dependency) => deployed.has(dependency)),
    );
    if (wave.length === 0) {
      const rest = stacks.filter(({ id }) => !deployed.has(id)).map(({ stackName }) => stackName);
      throw new ControlError(
        `stacks depend on each other in a circle, or on one that is not there: ${rest.join(', ')}`,
      );
    }
    for (const { id } of wave) deployed.add(id);
    waves.push(wave);
  }
  return waves;
}

function tasksUnderFullLoad(resources: readonly PlannedResource[]): number {
  const targets = resources.filter(({ type }) => type === 'AWS::ApplicationAutoScaling::ScalableTarget');
  return targets.reduce((sum, { properties }) => sum + Number(properties.MaxCapacity), 0);
}

/** vCPUs of the largest task; a deployment starts no other. */
function cpuOfTask(resources: readonly PlannedResource[]): number {
  const tasks = resources.filter(({ type }) => type === 'AWS::ECS::TaskDefinition');
  return Math.max(0, ...tasks.map(({ properties }) => Number(properties.Cpu) / 1024));
}
