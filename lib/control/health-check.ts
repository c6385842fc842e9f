import { DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { GetHealthCheckCommand, HealthCheckVersionMismatch, UpdateHealthCheckCommand } from '@aws-sdk/client-route-53';
import { EDGE_OUTPUTS, stackNames } from '../core/resource-names';
import { ControlError, reasonOf } from './errors';
import type { ControlPlane } from './plane';

const MAX_ATTEMPTS = 5;

/** A region's calculated health check, which its DNS records carry. */
export interface RegionHealthCheck {
  readonly id: string;
  /** Whether an operator took the region out: a check that is disabled and inverted is unhealthy whatever its parts say. */
  readonly drained: boolean;
  readonly version: number | undefined;
}

/**
 * Reads a region's health check.
 * @throws ControlError when the region's stack has none or cannot be read
 */
export async function readHealthCheck(plane: ControlPlane, region: string): Promise<RegionHealthCheck> {
  return readById(plane, await healthCheckId(plane, region));
}

/**
 * Takes a region out of DNS, or back in.
 * @returns the check's id and whether anything had to be changed
 * @throws ControlError when the check kept being changed by others
 */
export async function setDrained(
  plane: ControlPlane,
  region: string,
  drained: boolean,
): Promise<{ readonly id: string; readonly changed: boolean }> {
  const id = await healthCheckId(plane, region);
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const { drained: already, version } = await readById(plane, id);
    if (already === drained) return { id, changed: false };
    try {
      const change = { HealthCheckId: id, HealthCheckVersion: version, Disabled: drained, Inverted: drained };
      await plane.clients.route53.send(new UpdateHealthCheckCommand(change));
      return { id, changed: true };
    } catch (error) {
      if (!(error instanceof HealthCheckVersionMismatch)) throw error;
      await plane.clock.sleep(50 * attempt);
    }
  }
  throw new ControlError(`health check ${id} of ${region} kept changing under ${MAX_ATTEMPTS} attempts to change it`);
}

async function readById(plane: ControlPlane, id: string): Promise<RegionHealthCheck> {
  const { HealthCheck } = await plane.clients.route53.send(new GetHealthCheckCommand({ HealthCheckId: id }));
  const { Disabled = false, Inverted = false } = HealthCheck?.HealthCheckConfig ?? {};
  return { id, drained: Disabled && Inverted, version: HealthCheck?.HealthCheckVersion };
}

async function healthCheckId(plane: ControlPlane, region: string): Promise<string> {
  const stack = stackNames.edge(plane.scope, region);
  const outputs = await plane.clients
    .cloudFormation(region)
    .send(new DescribeStacksCommand({ StackName: stack }))
    .then(({ Stacks = [] }) => Stacks[0]?.Outputs ?? [])
    .catch((error: unknown) => {
      throw new ControlError(`cannot read stack ${stack} in ${region}: ${reasonOf(error)}`);
    });
  const id = outputs.find(({ OutputKey }) => OutputKey === EDGE_OUTPUTS.healthCheckId)?.OutputValue;
  if (!id) {
    throw new ControlError(
      `stack ${stack} has no output ${EDGE_OUTPUTS.healthCheckId}; deploy this version of it first`,
    );
  }
  return id;
}
