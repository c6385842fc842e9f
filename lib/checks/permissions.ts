import { matchesWildcard } from '../../local/iam/wildcards';
import type { Finding } from './finding';
import type { Statement } from './policies';
import { actionsMatching } from './service-authorization';

/** A permission that a role will be asked for. */
export interface Need {
  readonly action: string;
  /** ARNs of the things it will be asked for. */
  readonly resources: readonly string[];
  readonly why: string;
}

/** The part of a statement that says what it is about. */
export type Grant = Pick<Statement, 'effect' | 'actions' | 'resources'>;

/** Needs that no statement answers, each as the end of a sentence about the role. */
export function missing(grants: readonly Grant[], needs: readonly Need[]): string[] {
  return needs.flatMap(({ action, resources, why }) =>
    resources
      .filter((target) => !allows(grants, action, target))
      .map((target) => `may not ${action} on ${target}, but ${why}`),
  );
}

function allows(grants: readonly Grant[], action: string, target: string): boolean {
  const matching = grants.filter(
    ({ actions, resources }) =>
      actions.some((pattern) => matchesWildcard(pattern.toLowerCase(), action.toLowerCase())) &&
      (target === '*' || resources.some((pattern) => matchesWildcard(pattern, target))),
  );
  return matching.some(({ effect }) => effect === 'Allow') && !matching.some(({ effect }) => effect === 'Deny');
}

/** Actions that nothing calls, and resources that nothing names, of one statement. */
export async function unusedIn(statement: Statement, needs: readonly Need[]): Promise<Finding[]> {
  if (statement.effect !== 'Allow') return [];
  const granted = (await Promise.all(statement.actions.map(actionsMatching))).flat();
  const isNeeded = (action: string, pattern: string) =>
    needs.some(
      (need) =>
        need.action.toLowerCase() === action.toLowerCase() &&
        need.resources.some((target) => target === '*' || matchesWildcard(pattern, target)),
    );
  const idle = granted.filter((action) => !statement.resources.some((pattern) => isNeeded(action, pattern)));
  const unnamed = statement.resources.filter((pattern) => !granted.some((action) => isNeeded(action, pattern)));
  const at = { stack: statement.stack.name, resource: statement.resource.logicalId, right: 'no such permission' };
  return [
    ...idle.map((action) => ({
      ...at,
      problem: `allows ${action} on ${statement.resources.join(', ')}; nothing uses it`,
    })),
    ...(idle.length > 0 ? [] : unnamed).map((pattern) => ({
      ...at,
      problem: `allows ${statement.actions.join(', ')} on ${pattern}; nothing names that`,
    })),
  ];
}
