import { createHash } from 'node:crypto';
import type { Resource } from './types';

/** Names a resource as CloudFormation does when the template gives no name: stack, logical id and a suffix, here a stable one. */
export function physicalName(resource: Pick<Resource, 'stackName' | 'region' | 'logicalId'>, maxLength = 64): string {
  const suffix = digest(`${resource.region}/${resource.stackName}/${resource.logicalId}`).slice(0, 12).toUpperCase();
  const room = maxLength - suffix.length - 1;
  return `${`${resource.stackName}-${resource.logicalId}`.slice(0, room)}-${suffix}`;
}

/** An id of AWS's form `<prefix>-<17 hex digits>`, stable for a resource. */
export function physicalId(prefix: string, resource: Pick<Resource, 'stackName' | 'region' | 'logicalId'>): string {
  return `${prefix}-${digest(`${resource.region}/${resource.stackName}/${resource.logicalId}`).slice(0, 17)}`;
}

/** A UUID derived from `seed`, the same at each start. */
export function uuidFrom(seed: string): string {
  return digest(seed).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-5$3-a$4-$5');
}

function digest(seed: string): string {
  return createHash('sha256').update(seed).digest('hex');
}
