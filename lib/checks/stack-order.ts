import { type CheckedAssembly, type CheckedStack, resourcesOf } from './assembly';
import type { Check, Finding } from './finding';
import { listAt, textAt } from './json';
import { programsOf } from './programs';

/** What a stack needs of others is named, exists, and is deployed before it; nothing goes round in a circle. */
export const stackOrder: Check = {
  name: 'stack-order',
  run: (assembly) =>
    assembly.stacks.flatMap((stack) => [
      ...brokenReferences(stack),
      ...resourceCycles(stack),
      ...stackCycles(stack, assembly),
      ...valuesOfOtherStacks(stack),
      ...secretFaults(stack, assembly),
      ...rotationFaults(stack, assembly),
      ...nameFaults(stack, assembly),
    ]),
};

function brokenReferences(stack: CheckedStack): Finding[] {
  return stack.broken.map(({ logicalId, reason }) => ({
    stack: stack.name,
    resource: logicalId,
    problem: `refers to what is not there: ${reason}`,
    right: 'a resource, parameter or condition of its template',
  }));
}

function resourceCycles(stack: CheckedStack): Finding[] {
  const ids = new Set(stack.resources.map(({ logicalId }) => logicalId));
  const next = new Map(
    stack.resources.map(({ logicalId, dependsOn, refersTo }) => [logicalId, [...dependsOn, ...refersTo]]),
  );
  const dangling = stack.resources.flatMap(({ logicalId, dependsOn }) =>
    dependsOn
      .filter((id) => !ids.has(id))
      .map((id) => ({
        stack: stack.name,
        resource: logicalId,
        problem: `depends on ${id}, which is not in its template`,
        right: 'a resource of the template',
      })),
  );
  const cycle = cycleIn([...ids], (id) => next.get(id) ?? []);
  if (!cycle) return dangling;
  const problem = `resources wait for each other: ${cycle.join(' -> ')}`;
  return [...dangling, { stack: stack.name, resource: cycle[0] ?? '', problem, right: 'an order' }];
}

function stackCycles(stack: CheckedStack, { stacks }: CheckedAssembly): Finding[] {
  const next = new Map(stacks.map(({ id, dependencies }) => [id, dependencies]));
  const cycle = cycleIn([stack.id], (id) => next.get(id) ?? []);
  if (cycle?.[0] !== stack.id) return [];
  return [
    {
      stack: stack.name,
      resource: stack.name,
      problem: `stacks wait for each other: ${cycle.join(' -> ')}`,
      right: 'an order',
    },
  ];
}

/** The first cycle that is met, from a node back to itself. */
function cycleIn(starts: readonly string[], next: (id: string) => readonly string[]): string[] | undefined {
  const done = new Set<string>();
  const visit = (id: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(id)) return [...trail.slice(trail.indexOf(id)), id];
    if (done.has(id)) return undefined;
    for (const other of next(id)) {
      const found = visit(other, [...trail, id]);
      if (found) return found;
    }
    done.add(id);
    return undefined;
  };
  for (const id of starts) {
    const found = visit(id, []);
    if (found) return found;
  }
  return undefined;
}

/** Exports lock both stacks together, and a weak reference is resolved only when its stack is deployed anew. */
function valuesOfOtherStacks(stack: CheckedStack): Finding[] {
  const at = { stack: stack.name, resource: stack.name };
  return [
    ...stack.takes.map(({ kind, stack: from, name }) => ({
      ...at,
      problem: `takes the ${kind} ${name}${from && ` of ${from}`} of another stack`,
      right: 'a computed name (lib/core/resource-names.ts)',
    })),
    ...stack.exports.map((name) => ({ ...at, problem: `exports ${name}`, right: 'a computed name' })),
  ];
}

/** All stacks that are deployed before one. */
function before(stack: CheckedStack, { stacks }: CheckedAssembly): Set<string> {
  const found = new Set<string>();
  const add = (id: string): void => {
    if (found.has(id)) return;
    found.add(id);
    for (const other of stacks.find((candidate) => candidate.id === id)?.dependencies ?? []) add(other);
  };
  for (const id of stack.dependencies) add(id);
  return found;
}

/** CloudFormation reads a secret in the stack's own region, while it deploys. */
function secretFaults(stack: CheckedStack, assembly: CheckedAssembly): Finding[] {
  const earlier = before(stack, assembly);
  return stack.secrets.flatMap((name): Finding[] => {
    const at = { stack: stack.name, resource: stack.name };
    const found = resourcesOf(assembly, 'AWS::SecretsManager::Secret').find(({ resource }) => resource.name === name);
    if (!found)
      return [
        { ...at, problem: `reads the secret ${name}, which no stack makes`, right: 'a secret of this environment' },
      ];
    const regions = [
      found.stack.region,
      ...listAt(found.resource.properties, 'ReplicaRegions').map((replica) => textAt(replica, 'Region')),
    ];
    const faults: Finding[] = [];
    if (!regions.includes(stack.region)) {
      faults.push({
        ...at,
        problem: `reads the secret ${name} in ${stack.region}`,
        right: `a replica there, beside ${regions.join(', ')}`,
      });
    }
    if (found.stack !== stack && !earlier.has(found.stack.id)) {
      faults.push({
        ...at,
        problem: `may be deployed before the secret ${name}`,
        right: `a dependency on ${found.stack.name}`,
      });
    }
    return faults;
  });
}

/** A secret is rotated where it was made, and by a schedule that must not begin before what its function changes exists. */
function rotationFaults(stack: CheckedStack, assembly: CheckedAssembly): Finding[] {
  const schedules = stack.resources.filter(({ type }) => type === 'AWS::SecretsManager::RotationSchedule');
  return schedules.flatMap(({ logicalId, properties }): Finding[] => {
    const at = { stack: stack.name, resource: logicalId };
    const name = textAt(properties, 'SecretId');
    const found = resourcesOf(assembly, 'AWS::SecretsManager::Secret').find(({ resource }) => resource.name === name);
    const faults: Finding[] = [];
    if (found?.stack.region !== stack.region) {
      const where = found ? `which is made in ${found.stack.region}` : 'which no stack makes';
      faults.push({ ...at, problem: `rotates the secret ${name}, ${where}`, right: `a secret of ${stack.region}` });
    } else if (found.stack !== stack && !before(stack, assembly).has(found.stack.id)) {
      const right = `a dependency on ${found.stack.name}`;
      faults.push({ ...at, problem: `may be deployed before the secret ${name}`, right });
    }
    if (properties.RotateImmediatelyOnUpdate !== false) {
      const right = 'RotateImmediatelyOnUpdate: false';
      faults.push({ ...at, problem: 'rotates in the middle of a deployment', right });
    }
    return faults;
  });
}

/** Buckets, functions and load balancers of other stacks that a program's variables name. */
function nameFaults(stack: CheckedStack, assembly: CheckedAssembly): Finding[] {
  const earlier = before(stack, assembly);
  const programs = programsOf({ stacks: [stack] });
  return programs.flatMap(({ resource, environment }) => {
    const { MODEL_BUCKET, STATUS_FUNCTION_NAME, LOAD_BALANCER_NAME, REGIONS = '' } = environment;
    const secrets = [environment.FIRST_KEY_SECRET, environment.SECOND_KEY_SECRET];
    const inRegions = (type: string, name: string | undefined) =>
      name ? REGIONS.split(',').map((region) => ({ type, name, region })) : [];
    const named = [
      ...(MODEL_BUCKET ? [{ type: 'AWS::S3::Bucket', name: MODEL_BUCKET, region: stack.region }] : []),
      ...inRegions('AWS::Lambda::Function', STATUS_FUNCTION_NAME),
      ...inRegions('AWS::ElasticLoadBalancingV2::LoadBalancer', LOAD_BALANCER_NAME),
      ...secrets.flatMap((name) => (name ? [{ type: 'AWS::SecretsManager::Secret', name, region: stack.region }] : [])),
    ];
    return named.flatMap(({ type, name, region }): Finding[] => {
      const at = { stack: stack.name, resource: resource.logicalId };
      const found = resourcesOf(assembly, type).find(
        (candidate) => candidate.resource.name === name && candidate.stack.region === region,
      );
      if (!found)
        return [
          { ...at, problem: `names ${name} in ${region}, which no stack makes`, right: 'a name of this environment' },
        ];
      if (found.stack === stack || earlier.has(found.stack.id)) return [];
      return [{ ...at, problem: `may be deployed before ${name}`, right: `a dependency on ${found.stack.name}` }];
    });
  });
}
