import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Acknowledges cdk-nag's finding that a policy below `scope` names these resources by wildcard, one by one. */
export function acknowledgeWildcards(scope: IConstruct, resources: readonly string[], reason: string): void {
  const findings = resources.map((resource) => ({ id: `AwsSolutions-IAM5[Resource::${resource}]`, reason }));
  Validations.of(scope).acknowledge(...findings);
}
