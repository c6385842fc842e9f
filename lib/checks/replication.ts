import { type CheckedAssembly, type CheckedResource, type CheckedStack, resourcesOf } from './assembly';
import type { Check, Finding } from './finding';
import { at, listAt, textAt } from './json';

type Fault = Pick<Finding, 'problem' | 'right'>;

/** Replication rules lead to buckets that exist, are versioned and are deployed before. */
export const replication: Check = {
  name: 'replication',
  run: (assembly) =>
    resourcesOf(assembly, 'AWS::S3::Bucket')
      .filter(({ resource }) => at(resource.properties, 'ReplicationConfiguration') !== undefined)
      .flatMap(({ stack, resource }) =>
        faultsOf(stack, resource, assembly).map((fault) => ({
          stack: stack.name,
          resource: resource.logicalId,
          ...fault,
        })),
      ),
};

function isVersioned({ properties }: CheckedResource): boolean {
  return textAt(properties, 'VersioningConfiguration', 'Status') === 'Enabled';
}

function faultsOf(stack: CheckedStack, source: CheckedResource, assembly: CheckedAssembly): Fault[] {
  const configuration = source.properties.ReplicationConfiguration;
  const rules = listAt(configuration, 'Rules');
  const priorities = rules.map((rule) => textAt(rule, 'Priority'));
  const destinations = rules.map((rule) => textAt(rule, 'Destination', 'Bucket'));
  return [
    ...(isVersioned(source)
      ? []
      : [{ problem: 'replicates without versions', right: 'VersioningConfiguration: Enabled' }]),
    ...(new Set(priorities).size === priorities.length
      ? []
      : [{ problem: `rules share a priority: ${priorities.join(', ')}`, right: 'one for each rule' }]),
    ...rules
      .filter((rule) => at(rule, 'Filter') === undefined)
      .map(() => ({ problem: 'a rule without Filter', right: 'Filter, which priorities and delete markers need' })),
    ...destinations.flatMap((arn) => destinationFaults(arn, stack, source, assembly)),
  ];
}

function destinationFaults(
  arn: string,
  stack: CheckedStack,
  source: CheckedResource,
  assembly: CheckedAssembly,
): Fault[] {
  const name = arn.replace('arn:aws:s3:::', '');
  if (name === source.name) return [{ problem: 'replicates to itself', right: 'a bucket of another region' }];
  const found = resourcesOf(assembly, 'AWS::S3::Bucket').find(({ resource }) => resource.name === name);
  if (!found)
    return [{ problem: `replicates to ${name}, which no stack has`, right: 'a model bucket of this environment' }];
  return [
    ...(isVersioned(found.resource)
      ? []
      : [{ problem: `replicates to ${name}, which keeps no versions`, right: 'a versioned bucket' }]),
    ...(found.stack === stack || stack.dependencies.includes(found.stack.id)
      ? []
      : [{ problem: `may be deployed before ${name}`, right: `a dependency on ${found.stack.name}` }]),
  ];
}
