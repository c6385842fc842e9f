import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CheckedAssembly, type CheckedResource, type CheckedStack, resourcesOf } from '../../lib/checks/assembly';
import { listAt, textAt, textsAt } from '../../lib/checks/json';

/** Where a part stands in the picture. */
export type Place = 'outside' | 'global' | 'home' | 'edge';

/** What a resource is for. Resources of one key are one box. */
export interface Role {
  readonly key: string;
  readonly place: Place;
  readonly title: string;
  /** What stands small under the title; of several resources, every line once. */
  readonly lines: readonly string[];
}

/** A resource with its role, or somebody outside of the templates. */
export interface Member {
  readonly role: Role;
  /** Empty for somebody outside. */
  readonly region: string;
  readonly stack?: CheckedStack;
  readonly resource?: CheckedResource;
}

interface Context {
  readonly assembly: CheckedAssembly;
  readonly stack: CheckedStack;
  readonly resource: CheckedResource;
}

/** Letters of a function's name above which its box would be too wide with the word behind it. */
const LONG = 16;

/** Types worth a box. The rest (networks, identities, log groups, ...) would hide the picture. */
const ROLES: Readonly<Record<string, (context: Context) => Role | undefined>> = {
  'AWS::CloudFront::Distribution': distribution,
  'AWS::CloudFront::Function': edgeFunction,
  'AWS::CloudFront::KeyValueStore': () => role('store', 'global', 'KeyValueStore', 'live versions, region scores'),
  'AWS::Route53::RecordSet': originNames,
  'AWS::Route53::HealthCheck': healthCheck,
  'AWS::ElasticLoadBalancingV2::LoadBalancer': () => role('balancer', 'edge', 'load balancer'),
  'AWS::ElasticLoadBalancingV2::TargetGroup': edgeService,
  'AWS::ElastiCache::ReplicationGroup': ({ resource }) =>
    role('cache', 'edge', 'Valkey', textAt(resource.properties, 'CacheNodeType'), 'l1, control log'),
  'AWS::S3::Bucket': modelBucket,
  'AWS::SNS::Topic': topic,
  'AWS::Lambda::Function': lambda,
  'AWS::CloudWatch::Alarm': ({ stack }) =>
    role('alarms', 'edge', 'CloudWatch alarms', isGlobal(stack) ? "and the distribution's" : "the region's"),
};

/** Every resource that plays a role. */
export function membersOf(assembly: CheckedAssembly): Member[] {
  return assembly.stacks.flatMap((stack) =>
    stack.resources.flatMap((resource): Member[] => {
      const found = ROLES[resource.type]?.({ assembly, stack, resource });
      return found ? [{ role: found, region: stack.region, stack, resource }] : [];
    }),
  );
}

/** Somebody or something that no template holds. */
export function outsider(key: string, title: string, ...lines: readonly string[]): Member {
  return { role: role(key, 'outside', title, ...lines), region: '' };
}

/** The stack that everything outside of regions is in. */
export function isGlobal(stack: CheckedStack): boolean {
  return stack.resources.some(({ type }) => type === 'AWS::CloudFront::Distribution');
}

/** ECS services that register their tasks with a target group. */
export function servicesBehind(stack: CheckedStack, group: CheckedResource): CheckedResource[] {
  return stack.resources.filter(
    ({ type, refersTo }) => type === 'AWS::ECS::Service' && refersTo.includes(group.logicalId),
  );
}

/** Resources of the same stack that a resource refers to. */
export function referredBy({ resources }: CheckedStack, { refersTo }: CheckedResource): CheckedResource[] {
  return resources.filter(({ logicalId }) => refersTo.includes(logicalId));
}

/** Variables of the containers of a task definition. */
export function variablesOf(task: CheckedResource): ReadonlyMap<string, string> {
  const variables = listAt(task.properties, 'ContainerDefinitions').flatMap((container) =>
    listAt(container, 'Environment'),
  );
  return new Map(variables.map((variable) => [textAt(variable, 'Name'), textAt(variable, 'Value')]));
}

/** Names of the buckets that a bucket replicates to. */
export function replicasOf(bucket: CheckedResource): string[] {
  return listAt(bucket.properties, 'ReplicationConfiguration', 'Rules').map((rule) =>
    textAt(rule, 'Destination', 'Bucket').replace(/^arn:[^:]+:s3:::/, ''),
  );
}

function role(key: string, place: Place, title: string, ...lines: readonly string[]): Role {
  return { key, place, title, lines: lines.filter((line) => line !== '') };
}

function distribution({ resource }: Context): Role {
  const names = textsAt(resource.properties, 'DistributionConfig', 'Aliases');
  const firewall = textAt(resource.properties, 'DistributionConfig', 'WebACLId') === '' ? '' : 'firewall, ';
  return role('distribution', 'global', 'CloudFront distribution', ...names, `${firewall}POP caches`);
}

function edgeFunction({ stack, resource }: Context): Role {
  const events = stack.resources
    .filter(({ type, refersTo }) => type === 'AWS::CloudFront::Distribution' && refersTo.includes(resource.logicalId))
    .flatMap(({ properties }) =>
      listAt(properties, 'DistributionConfig', 'DefaultCacheBehavior', 'FunctionAssociations'),
    )
    .map((association) => textAt(association, 'EventType'));
  return role('edge-function', 'global', `${[...new Set(events)].join(', ')} function`.trim(), 'CloudFront Function');
}

/** The names by which CloudFront finds load balancers; one that is there for each region stands for all of them. */
function originNames({ assembly, stack, resource }: Context): Role | undefined {
  if (isGlobal(stack)) return undefined;
  const [site = ''] = resourcesOf(assembly, 'AWS::CloudFront::Distribution').flatMap((found) =>
    textsAt(found.resource.properties, 'DistributionConfig', 'Aliases'),
  );
  const name = textAt(resource.properties, 'Name')
    .replace(/\.$/, '')
    .replace(`.${site}`, '')
    .replace(stack.region, 'REGION');
  const policy = textAt(resource.properties, 'Failover') === '' ? 'by latency' : 'with failover';
  return role('names', 'global', 'Route 53 records', `${name}: ${policy}`);
}

function healthCheck({ resource }: Context): Role | undefined {
  const isWhole = textAt(resource.properties, 'HealthCheckConfig', 'Type') === 'CALCULATED';
  return isWhole ? role('health', 'global', 'Route 53 health checks', 'one for each region') : undefined;
}

function edgeService({ stack, resource }: Context): Role | undefined {
  const services = servicesBehind(stack, resource);
  if (services.length === 0) return undefined;
  const names = services.map(({ properties }) => textAt(properties, 'ServiceName')).toSorted();
  return role('service', 'edge', 'edge service', ...names, 'memory, l2 (disk), ONNX models');
}

function modelBucket({ assembly, resource }: Context): Role | undefined {
  const buckets = resourcesOf(assembly, 'AWS::S3::Bucket').map((found) => found.resource);
  if (buckets.some((other) => replicasOf(other).includes(resource.name))) {
    return role('replica', 'edge', 'model bucket', 'S3, replica');
  }
  const tasks = resourcesOf(assembly, 'AWS::ECS::TaskDefinition').map((found) => found.resource);
  const isRead = tasks.some((task) => variablesOf(task).get('MODEL_BUCKET') === resource.name);
  return isRead || replicasOf(resource).length > 0 ? role('bucket', 'home', 'model bucket', 'S3, primary') : undefined;
}

/** A topic is named by who hears it: a function, or people. */
function topic({ stack, resource }: Context): Role | undefined {
  const protocols = subscriptionsOf(stack, resource).map(({ properties }) => textAt(properties, 'Protocol'));
  if (protocols.includes('lambda')) return role('control-topic', 'edge', 'control topic', 'SNS');
  return protocols.length === 0 ? undefined : role('alarm-topic', 'edge', 'alarm topic', 'SNS');
}

export function subscriptionsOf(stack: CheckedStack, { logicalId }: CheckedResource): CheckedResource[] {
  return stack.resources.filter(
    ({ type, refersTo }) => type === 'AWS::SNS::Subscription' && refersTo.includes(logicalId),
  );
}

/** A function is called by the folder of its handler, and says by what schedule it runs. */
function lambda({ stack, resource }: Context): Role {
  const directory = stack.assets.fileByObjectKey(textAt(resource.properties, 'Code', 'S3Key'));
  const handler = textAt(resource.properties, 'Handler').split('.')[0] ?? '';
  const sources = readFileSync(join(directory, `${handler}.js`), 'utf8').matchAll(
    /^\/\/ lambda\/([\w-]+)\/handler\.ts$/gm,
  );
  const name = [...sources].at(-1)?.[1] ?? resource.name;
  const schedules = stack.resources
    .filter(({ type, refersTo }) => type === 'AWS::Events::Rule' && refersTo.includes(resource.logicalId))
    .map(({ properties }) => textAt(properties, 'ScheduleExpression'));
  const [title, line] = name.length > LONG ? [name, 'Lambda function'] : [`${name} function`, ''];
  return role(name, isGlobal(stack) ? 'global' : 'edge', title, line, ...schedules);
}
