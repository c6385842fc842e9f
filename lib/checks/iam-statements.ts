import type { Check, Finding } from './finding';
import { objectAt } from './json';
import { type Statement, statementsOf } from './policies';
import { actionsMatching, conditionKeyExists, patternsOverlap, resourcePatterns } from './service-authorization';

/** Every action, condition key and pairing of action and resource in policies exists, so no statement is without effect. */
export const iamStatements: Check = {
  name: 'iam-statements',
  async run(assembly) {
    const found = await Promise.all(statementsOf(assembly).map(faultsOf));
    return found.flat();
  },
};

async function faultsOf(statement: Statement): Promise<Finding[]> {
  const at = { stack: statement.stack.name, resource: statement.resource.logicalId };
  if (statement.isNegated) {
    // Whatever AWS adds next would be in it, and no other check could say what that is.
    return [{ ...at, problem: 'says what it is not about (Not...)', right: 'Action, Resource and Principal by name' }];
  }
  const faults: Finding[] = [];
  for (const pattern of statement.actions.filter((action) => action !== '*')) {
    const actions = await actionsMatching(pattern);
    if (actions.length === 0) {
      const right = `an action of the Service Authorization Reference of ${pattern.split(':')[0]}`;
      faults.push({ ...at, problem: `no action is called ${pattern}`, right });
    } else if (!statement.ofTrust && !(await someApplies(actions, statement.resources))) {
      const fitting = [...new Set((await Promise.all(actions.map(resourcePatterns))).flat())];
      faults.push({
        ...at,
        problem: `${pattern} never applies to ${statement.resources.join(', ')}`,
        right:
          fitting.length > 0
            ? `a resource such as ${fitting.slice(0, 3).join(' or ').replaceAll('~', '*')}`
            : 'the resource *',
      });
    }
  }
  for (const key of Object.keys(statement.condition).flatMap((operator) =>
    Object.keys(objectAt(statement.condition, operator)),
  )) {
    if (await conditionKeyExists(key)) continue;
    faults.push({ ...at, problem: `no condition key is called ${key}`, right: 'a global key or one of the service' });
  }
  return faults;
}

/** Whether one of the actions can be asked for one of the resources. */
async function someApplies(actions: readonly string[], resources: readonly string[]): Promise<boolean> {
  if (resources.some((resource) => resource === '*' || resource.startsWith('<'))) return true;
  for (const action of actions) {
    const patterns = await resourcePatterns(action);
    const fits = resources.some((resource) => patterns.some((pattern) => patternsOverlap(pattern, resource)));
    if (fits) return true;
  }
  return false;
}
