import { queryApi } from '../aws-front/query-protocol';
import { ServiceError } from '../aws-front/service-error';
import type { RunningAssembly } from '../engine/run-assembly';
import type { AwsApi } from '../engine/types';

/**
 * CloudFormation's view of the running assembly: `DescribeStacks` with outputs.
 *
 * @param assembly gives the assembly once it runs; until then no stack exists.
 */
export function cloudFormationApi(assembly: () => RunningAssembly | undefined): AwsApi {
  const startedAt = new Date().toISOString();
  return queryApi('cloudformation', {
    DescribeStacks: (parameters, { region }) => {
      const name = parameters.optional('StackName');
      const stacks = (assembly()?.stacks ?? []).filter(
        (stack) => stack.region === region && (!name || stack.stackName === name || stack.stackId === name),
      );
      if (name && stacks.length === 0) {
        throw new ServiceError('ValidationError', `Stack with id ${name} does not exist`);
      }
      return {
        Stacks: {
          member: stacks.map(({ stackName, stackId, outputs }) => ({
            StackName: stackName,
            StackId: stackId,
            StackStatus: 'CREATE_COMPLETE',
            CreationTime: startedAt,
            Outputs: {
              member: Object.entries(outputs).map(([OutputKey, value]) => ({ OutputKey, OutputValue: String(value) })),
            },
          })),
        },
      };
    },
  });
}
