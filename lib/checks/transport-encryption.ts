import { matchesWildcard } from '../../local/iam/wildcards';
import { type CheckedResource, type CheckedStack, resourcesOf } from './assembly';
import type { Check } from './finding';
import { attributeOf } from './identities';
import { textAt, textsAt } from './json';
import { type Statement, statementsIn } from './policies';

/** How a policy is attached to a type, and what it must deny to whoever comes without TLS. */
interface Kind {
  readonly policyType: string;
  readonly attachedBy: string;
  readonly action: string;
  /** What follows the ARN in the names of what the policy must cover. */
  readonly parts: readonly string[];
}

const KINDS: Readonly<Record<string, Kind>> = {
  'AWS::S3::Bucket': {
    policyType: 'AWS::S3::BucketPolicy',
    attachedBy: 'Bucket',
    action: 's3:GetObject',
    parts: ['', '/models/name'],
  },
  'AWS::SQS::Queue': {
    policyType: 'AWS::SQS::QueuePolicy',
    attachedBy: 'Queues',
    action: 'sqs:SendMessage',
    parts: [''],
  },
  'AWS::SNS::Topic': {
    policyType: 'AWS::SNS::TopicPolicy',
    attachedBy: 'Topics',
    action: 'sns:Publish',
    parts: [''],
  },
};

/** Buckets, queues and topics, whose endpoints take plain HTTP too, refuse it to everybody. */
export const transportEncryption: Check = {
  name: 'transport-encryption',
  run: (assembly) =>
    Object.entries(KINDS).flatMap(([type, kind]) =>
      resourcesOf(assembly, type)
        .filter(({ stack, resource }) => !refusesPlainHttp(stack, resource, kind))
        .map(({ stack, resource }) => ({
          stack: stack.name,
          resource: resource.logicalId,
          problem: `no policy of ${resource.name} denies ${kind.action} to everybody without TLS`,
          right: 'a Deny for every principal under Bool aws:SecureTransport false (enforceSSL: true)',
        })),
    ),
};

function refusesPlainHttp(stack: CheckedStack, resource: CheckedResource, kind: Kind): boolean {
  const arn = attributeOf(resource, 'Arn', stack);
  const denials = stack.resources
    .filter(
      ({ type, properties }) => type === kind.policyType && textsAt(properties, kind.attachedBy).includes(resource.ref),
    )
    .flatMap((policy) => statementsIn(stack, policy))
    .filter((statement) => isForEverybodyWithoutTls(statement));
  return kind.parts.every((part) =>
    denials.some(
      ({ actions, resources }) =>
        actions.some((pattern) => matchesWildcard(pattern, kind.action)) &&
        resources.some((pattern) => matchesWildcard(pattern, arn + part)),
    ),
  );
}

/** With any other condition beside it, the denial would hold for some requests only. */
function isForEverybodyWithoutTls({ effect, principal, condition }: Statement): boolean {
  const isEverybody = principal === '*' || textAt(principal, 'AWS') === '*';
  const conditions = Object.entries(condition).flatMap(([operator, keys]) =>
    Object.keys(keys as object).map((key) => `${operator} ${key} ${textAt(keys, key)}`),
  );
  return effect === 'Deny' && isEverybody && conditions.join() === 'Bool aws:SecureTransport false';
}
