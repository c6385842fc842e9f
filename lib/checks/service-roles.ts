import { type CheckedResource, type CheckedStack, resourceBehind } from './assembly';
import type { Check, Finding } from './finding';
import { at, listAt, textAt, textsAt } from './json';
import { missing, type Need, unusedIn } from './permissions';
import { policiesOfRole, statementsIn } from './policies';
import { programsOf } from './programs';

/** A role that a service of AWS assumes, and what for. */
interface Use {
  readonly by: CheckedResource;
  readonly roleArn: string;
  /** The principal that its trust policy must name. */
  readonly service: string;
  /** What the service does in the role; absent where the check `runtime-permissions` knows it of the program. */
  readonly needs?: readonly Need[];
}

/** What S3 asks of a replication's role. Source: S3 user guide, "Setting up permissions for live replication". */
const REPLICATION = {
  bucket: ['s3:GetReplicationConfiguration', 's3:ListBucket'],
  objects: ['s3:GetObjectVersionForReplication', 's3:GetObjectVersionAcl', 's3:GetObjectVersionTagging'],
  replicas: ['s3:ReplicateObject', 's3:ReplicateDelete', 's3:ReplicateTags'],
};

/** What flow logs ask where the group is there. Source: VPC user guide, "IAM role for publishing flow logs". */
const FLOW_LOG_ACTIONS = ['logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'];

/** Every role is assumed by a service that it trusts; what the service does in it is allowed, and nothing else is. */
export const serviceRoles: Check = {
  name: 'service-roles',
  async run({ stacks }) {
    const found = await Promise.all(stacks.map(faultsOf));
    return found.flat();
  },
};

async function faultsOf(stack: CheckedStack): Promise<Finding[]> {
  const uses = usesIn(stack);
  const used = new Set(uses.map(({ roleArn }) => policiesOfRole(stack, roleArn).role));
  const idle = stack.resources.filter((resource) => resource.type === 'AWS::IAM::Role' && !used.has(resource));
  const found = await Promise.all(uses.map((use) => faultsOfUse(stack, use)));
  return [
    ...found.flat(),
    ...idle.map(({ logicalId }) => ({
      stack: stack.name,
      resource: logicalId,
      problem: 'is a role that nothing in its stack uses',
      right: 'a use that lib/checks/service-roles.ts knows, or no role',
    })),
  ];
}

async function faultsOfUse(stack: CheckedStack, { by, roleArn, service, needs }: Use): Promise<Finding[]> {
  const { role, statements } = policiesOfRole(stack, roleArn);
  const place = { stack: stack.name, resource: by.logicalId };
  if (!role) return [{ ...place, problem: `its role ${roleArn} is not in its stack`, right: 'a role of its own' }];
  const trusted = statementsIn(stack, role)
    .filter(({ ofTrust, effect, actions }) => ofTrust && effect === 'Allow' && actions.includes('sts:AssumeRole'))
    .flatMap(({ principal }) => textsAt(principal, 'Service'));
  const faults: Finding[] = [];
  if (!trusted.includes(service)) {
    faults.push({
      ...place,
      problem: `${service} may not assume its role ${role.logicalId}, which trusts ${trusted.join(', ') || 'nobody'}`,
      right: `the principal ${service} in its trust policy`,
    });
  }
  if (!needs) return faults;
  const unused = await Promise.all(statements.map((statement) => unusedIn(statement, needs)));
  return [
    ...faults,
    ...missing(statements, needs).map((problem) => ({
      ...place,
      problem: `its role ${role.logicalId} ${problem}`,
      right: 'a statement that allows it',
    })),
    ...unused.flat(),
  ];
}

function usesIn(stack: CheckedStack): Use[] {
  const programs = programsOf({ stacks: [stack] }).map(({ resource, kind, roleArn }) => ({
    by: resource,
    roleArn,
    service: kind === 'function' ? 'lambda.amazonaws.com' : 'ecs-tasks.amazonaws.com',
  }));
  const others = stack.resources.flatMap((by): Use[] => {
    const { type, properties } = by;
    if (type === 'AWS::ECS::TaskDefinition') {
      const needs = executionNeeds(stack, by);
      return [{ by, roleArn: textAt(properties, 'ExecutionRoleArn'), service: 'ecs-tasks.amazonaws.com', needs }];
    }
    if (type === 'AWS::EC2::FlowLog') {
      const needs = flowLogNeeds(stack, by);
      const roleArn = textAt(properties, 'DeliverLogsPermissionArn');
      return [{ by, roleArn, service: 'vpc-flow-logs.amazonaws.com', needs }];
    }
    if (type === 'AWS::S3::Bucket' && at(properties, 'ReplicationConfiguration') !== undefined) {
      const roleArn = textAt(properties, 'ReplicationConfiguration', 'Role');
      return [{ by, roleArn, service: 's3.amazonaws.com', needs: replicationNeeds(by) }];
    }
    return [];
  });
  return [...programs, ...others];
}

/** What ECS does before a container runs: pull its image and open its log. */
function executionNeeds(stack: CheckedStack, task: CheckedResource): Need[] {
  return listAt(task.properties, 'ContainerDefinitions').flatMap((container): Need[] => {
    const [registry = '', path = ''] = textAt(container, 'Image').split(/\/(.*)/);
    const [account, , , region] = registry.split('.');
    const repository = `arn:aws:ecr:${region}:${account}:repository/${path.split(':')[0]}`;
    const pull = { resources: [repository], why: 'ECS pulls its image' };
    const ship = {
      resources: [logStream(stack, textAt(container, 'LogConfiguration', 'Options', 'awslogs-group'))],
      why: 'ECS ships its log',
    };
    return [
      { action: 'ecr:GetAuthorizationToken', resources: ['*'], why: pull.why },
      { action: 'ecr:BatchCheckLayerAvailability', ...pull },
      { action: 'ecr:BatchGetImage', ...pull },
      { action: 'ecr:GetDownloadUrlForLayer', ...pull },
      { action: 'logs:CreateLogStream', ...ship },
      { action: 'logs:PutLogEvents', ...ship },
    ];
  });
}

function flowLogNeeds(stack: CheckedStack, { properties }: CheckedResource): Need[] {
  const name = textAt(properties, 'LogGroupName');
  const resources = [logStream(stack, resourceBehind(stack, name)?.name ?? name)];
  return FLOW_LOG_ACTIONS.map((action) => ({ action, resources, why: 'the network reports refused traffic there' }));
}

function replicationNeeds({ name, properties }: CheckedResource): Need[] {
  const own = `arn:aws:s3:::${name}`;
  const replicas = listAt(properties, 'ReplicationConfiguration', 'Rules').map(
    (rule) => `${textAt(rule, 'Destination', 'Bucket')}/models/name`,
  );
  const why = 'S3 replicates new objects';
  return [
    ...REPLICATION.bucket.map((action) => ({ action, resources: [own], why })),
    ...REPLICATION.objects.map((action) => ({ action, resources: [`${own}/models/name`], why })),
    ...REPLICATION.replicas.map((action) => ({ action, resources: replicas, why })),
  ];
}

function logStream({ region, account }: CheckedStack, group: string): string {
  return `arn:aws:logs:${region}:${account}:log-group:${group}:log-stream:name`;
}
