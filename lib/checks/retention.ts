import type { CheckedAssembly, CheckedResource, CheckedStack } from './assembly';
import type { Check, Finding } from './finding';
import { at, textAt } from './json';

type Fault = Pick<Finding, 'problem' | 'right'>;

/** Types whose content cannot be made again. */
const PRECIOUS = ['AWS::S3::Bucket'];

/** Types that hold nothing worth keeping, whatever the environment. */
const DISPOSABLE = ['AWS::Logs::LogGroup', 'AWS::SQS::Queue', 'AWS::ElastiCache::ReplicationGroup'];

/** Logs expire and belong to the stack; what is precious outlives it exactly where the environment is protected. */
export const retention: Check = {
  name: 'retention',
  run: (assembly) =>
    assembly.stacks.flatMap((stack) =>
      stack.resources.flatMap((resource) =>
        faultsOf(resource, stack, isProtected(assembly)).map((fault) => ({
          stack: stack.name,
          resource: resource.logicalId,
          ...fault,
        })),
      ),
    ),
};

/** An environment is protected as a whole; load balancers say so in every region. */
function isProtected({ stacks }: CheckedAssembly): boolean {
  return stacks.some(({ resources }) =>
    resources.some(
      ({ type, properties }) =>
        type === 'AWS::ElasticLoadBalancingV2::LoadBalancer' &&
        JSON.stringify(properties.LoadBalancerAttributes).includes('"deletion_protection.enabled","Value":"true"'),
    ),
  );
}

function faultsOf(resource: CheckedResource, stack: CheckedStack, protect: boolean): Fault[] {
  const { type, properties, deletionPolicy } = resource;
  const faults: Fault[] = [];
  if (type === 'AWS::Logs::LogGroup' && textAt(properties, 'RetentionInDays') === '') {
    faults.push({ problem: 'keeps its log for ever', right: 'RetentionInDays' });
  }
  if (type === 'AWS::Lambda::Function' && !hasLogGroup(properties, stack)) {
    faults.push({
      problem: 'writes to a log group that Lambda makes and nothing expires or deletes',
      right: 'LoggingConfig with a log group of the stack',
    });
  }
  if (PRECIOUS.includes(type) && protect !== (deletionPolicy === 'Retain')) {
    faults.push({
      problem: `DeletionPolicy ${deletionPolicy} in ${protect ? 'a protected environment' : 'one that is torn down'}`,
      right: protect ? 'Retain' : 'Delete',
    });
  }
  if (!protect && deletionPolicy !== 'Delete' && !PRECIOUS.includes(type)) {
    faults.push({ problem: `DeletionPolicy ${deletionPolicy}: stays, and costs, after the teardown`, right: 'Delete' });
  }
  if (DISPOSABLE.includes(type) && deletionPolicy === 'Retain') {
    faults.push({ problem: 'outlives its stack, and a new one cannot have its name', right: 'DeletionPolicy: Delete' });
  }
  return faults;
}

function hasLogGroup(properties: unknown, { resources }: CheckedStack): boolean {
  const group = textAt(at(properties, 'LoggingConfig'), 'LogGroup');
  return resources.some(({ type, name }) => type === 'AWS::Logs::LogGroup' && name === group);
}
