import { alarms } from './alarms';
import type { CheckedAssembly } from './assembly';
import { containers } from './containers';
import { distribution } from './distribution';
import { dns } from './dns';
import { edgeFunction } from './edge-function';
import { environmentVariables } from './environment-variables';
import { existingNames } from './existing-names';
import type { Check, Finding } from './finding';
import { iamStatements } from './iam-statements';
import { invocations } from './invocations';
import { limits } from './limits';
import { networkFlows } from './network-flows';
import { replication } from './replication';
import { retention } from './retention';
import { runtimePermissions } from './runtime-permissions';
import { scaleIn } from './scale-in';
import { securityGroupWeight } from './security-group-weight';
import { serviceRoles } from './service-roles';
import { stackOrder } from './stack-order';
import { transportEncryption } from './transport-encryption';

/** Every check, in the order in which a deployment would meet their findings. */
export const CHECKS: readonly Check[] = [
  existingNames,
  limits,
  stackOrder,
  replication,
  iamStatements,
  runtimePermissions,
  serviceRoles,
  invocations,
  transportEncryption,
  networkFlows,
  securityGroupWeight,
  distribution,
  edgeFunction,
  dns,
  alarms,
  environmentVariables,
  containers,
  scaleIn,
  retention,
];

/** A finding with the check that made it. */
export interface NamedFinding extends Finding {
  readonly check: string;
}

/** What every check finds in the templates of one environment. */
export async function checkAssembly(assembly: CheckedAssembly): Promise<NamedFinding[]> {
  const found: NamedFinding[] = [];
  for (const { name, run } of CHECKS) {
    for (const finding of await run(assembly)) found.push({ check: name, ...finding });
  }
  return found;
}
