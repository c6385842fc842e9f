import type { CheckedResource, CheckedStack } from '../../lib/checks/assembly';
import { listAt, textAt, textsAt } from '../../lib/checks/json';
import { EDGE_OUTPUTS, GLOBAL_OUTPUTS } from '../../lib/core/resource-names';
import { type Member, outsider, referredBy, replicasOf, servicesBehind, subscriptionsOf, variablesOf } from './roles';

/** What an arrow is a step of. */
export type Path = 'request' | 'control' | 'publishing' | 'health';

/** An arrow between two resources, or one of them and somebody outside. */
export interface Connection {
  readonly from: Member;
  readonly to: Member;
  readonly path: Path;
  readonly label: string;
}

type Resource = Member & { readonly stack: CheckedStack; readonly resource: CheckedResource };

const VIEWERS = outsider('viewers', 'viewers');
/** Sends what subscriptions wait for and no resource sends, and uses what stacks give out as outputs. */
const OPERATOR = outsider('operator', 'mlcdn CLI', 'model owner, operator');

const BALANCER = 'AWS::ElasticLoadBalancingV2::LoadBalancer';
const CACHE = 'AWS::ElastiCache::ReplicationGroup';
const STORE = 'AWS::CloudFront::KeyValueStore';
const FUNCTION = 'AWS::Lambda::Function';

/** Paths that no pattern matches. */
const REST = 'all else';

/** Reads from the members' properties who calls, feeds or watches whom. */
export function connectionsOf(members: readonly Member[]): Connection[] {
  const reader = new Reader(members.filter((member): member is Resource => member.resource !== undefined));
  return [...reader.requestPath(), ...reader.controlPath(), ...reader.publishingPath(), ...reader.healthPath()];
}

class Reader {
  constructor(private readonly members: readonly Resource[]) {}

  *requestPath(): Generator<Connection> {
    const step = (from: Member, to: Member, label = ''): Connection => ({ from, to, path: 'request', label });
    for (const distribution of this.playing('distribution')) {
      yield step(VIEWERS, distribution);
      for (const edgeFunction of this.behind(distribution, 'AWS::CloudFront::Function')) {
        yield step(distribution, edgeFunction);
        for (const store of this.behind(edgeFunction, STORE)) yield step(edgeFunction, store);
      }
      for (const [origin, paths] of this.originsOf(distribution)) yield step(distribution, origin, paths.join(', '));
    }
    for (const record of this.playing('names')) {
      for (const balancer of this.behind(record, BALANCER)) yield step(record, balancer);
    }
    for (const service of this.playing('service')) {
      for (const balancer of this.balancersOf(service)) yield step(balancer, service);
      for (const task of this.tasksOf(service)) {
        for (const cache of this.behind({ ...service, resource: task }, CACHE)) yield step(service, cache, 'l1');
        const url = variablesOf(task).get('ORIGIN_URL');
        if (url) yield step(service, outsider('origin', 'HTTP origin', url));
      }
    }
  }

  *controlPath(): Generator<Connection> {
    const step = (from: Member, to: Member, label = ''): Connection => ({ from, to, path: 'control', label });
    for (const topic of this.playing('control-topic')) {
      yield step(OPERATOR, topic, 'invalidate, prepare, activate');
      const subscriptions = subscriptionsOf(topic.stack, topic.resource);
      for (const listener of subscriptions.flatMap((resource) => this.behind({ ...topic, resource }, FUNCTION))) {
        yield step(topic, listener);
        for (const cache of this.behind(listener, CACHE)) {
          yield step(listener, cache, 'appends');
          for (const service of this.playing('service').filter(({ stack }) => stack === cache.stack)) {
            yield step(cache, service, 'control log');
          }
        }
      }
    }
    for (const caller of this.members.filter(({ resource }) => resource.type === FUNCTION)) {
      const distributions = this.behind(caller, 'AWS::CloudFront::Distribution');
      for (const distribution of distributions) yield step(caller, distribution, 'origin keys');
    }
    for (const distribution of this.givenOut('distribution', GLOBAL_OUTPUTS.distributionId)) {
      yield step(OPERATOR, distribution, 'invalidate tags');
    }
  }

  *publishingPath(): Generator<Connection> {
    const step = (from: Member, to: Member, label: string): Connection => ({ from, to, path: 'publishing', label });
    for (const bucket of this.playing('bucket')) {
      yield step(OPERATOR, bucket, 'publish');
      for (const replica of replicasOf(bucket.resource).flatMap((name) => this.bucketsNamed(name))) {
        yield step(bucket, replica, 'replication');
      }
    }
    for (const service of this.playing('service')) {
      const names = this.tasksOf(service).map((task) => variablesOf(task).get('MODEL_BUCKET') ?? '');
      for (const bucket of names.flatMap((name) => this.bucketsNamed(name))) yield step(bucket, service, 'models');
    }
    for (const store of this.givenOut('store', GLOBAL_OUTPUTS.keyValueStoreArn)) {
      yield step(OPERATOR, store, 'live version');
    }
  }

  *healthPath(): Generator<Connection> {
    const step = (from: Member, to: Member, label = ''): Connection => ({ from, to, path: 'health', label });
    for (const caller of this.members.filter(({ resource }) => resource.type === FUNCTION)) {
      for (const store of this.behind(caller, STORE)) yield step(caller, store, 'scores');
      for (const called of this.invokedBy(caller)) yield step(caller, called);
      const listens = caller.stack.resources.some(
        (other) => other.type === 'AWS::SNS::Subscription' && referredBy(caller.stack, other).includes(caller.resource),
      );
      // A function that hears no topic is asked, by another one or the CLI, for what tasks have written.
      for (const cache of listens ? [] : this.behind(caller, CACHE)) yield step(cache, caller, 'heartbeats');
    }
    for (const alarm of this.playing('alarms')) {
      for (const balancer of this.balancersOf(alarm)) yield step(balancer, alarm, 'metrics');
      for (const topic of this.behind(alarm, 'AWS::SNS::Topic')) {
        yield step(alarm, topic);
        for (const { properties } of subscriptionsOf(topic.stack, topic.resource)) {
          const people = outsider('on-call', 'on call', textAt(properties, 'Endpoint'));
          yield step(topic, people, textAt(properties, 'Protocol'));
        }
      }
      for (const check of this.playing('health')) {
        const children = referredBy(check.stack, check.resource);
        const isWatched = children.some((child) => referredBy(check.stack, child).includes(alarm.resource));
        if (isWatched) yield step(alarm, check);
      }
    }
    for (const record of this.playing('names')) {
      for (const check of this.behind(record, 'AWS::Route53::HealthCheck')) yield step(check, record);
    }
    for (const check of this.givenOut('health', EDGE_OUTPUTS.healthCheckId)) yield step(OPERATOR, check, 'drain');
  }

  /** The origins of a distribution, each with the path patterns that lead there, the default's last. */
  private originsOf({ resource }: Resource): [Resource, string[]][] {
    const config = resource.properties.DistributionConfig;
    const groups = listAt(config, 'OriginGroups', 'Items');
    const behaviours = [...listAt(config, 'CacheBehaviors'), ...listAt(config, 'DefaultCacheBehavior')];
    const targets = (behaviour: unknown): string[] => {
      const target = textAt(behaviour, 'TargetOriginId');
      const group = groups.find((candidate) => textAt(candidate, 'Id') === target);
      const members = listAt(group, 'Members', 'Items').map((member) => textAt(member, 'OriginId'));
      return group ? members : [target];
    };
    const found = listAt(config, 'Origins').flatMap((origin) => {
      const leading = behaviours.filter((behaviour) => targets(behaviour).includes(textAt(origin, 'Id')));
      const paths = leading.map((behaviour) => textAt(behaviour, 'PathPattern') || REST);
      return this.named(textAt(origin, 'DomainName')).map((member): [Resource, string[]] => [member, paths]);
    });
    // Where the rest goes, the patterns that go there too say nothing more.
    const rest = found.find(([, paths]) => paths.includes(REST))?.[0].role.key;
    return found.map(([member, paths]) => [member, member.role.key === rest ? [REST] : paths]);
  }

  /** Buckets and records behind a domain name. */
  private named(domain: string): Resource[] {
    return this.members.filter(
      ({ resource }) =>
        (resource.type === 'AWS::S3::Bucket' && domain.startsWith(`${resource.name}.s3.`)) ||
        textAt(resource.properties, 'Name') === `${domain}.`,
    );
  }

  private playing(key: string): Resource[] {
    return this.members.filter(({ role }) => role.key === key);
  }

  /** Members of a role whose stack gives out an identifier of theirs, for the CLI to find. */
  private givenOut(key: string, output: string): Resource[] {
    return this.playing(key).filter(({ stack }) => stack.outputs.includes(output));
  }

  /** Members of a type that a resource of the same stack refers to. */
  private behind({ stack, resource }: Pick<Resource, 'stack' | 'resource'>, type: string): Resource[] {
    const referred = referredBy(stack, resource);
    return this.members.filter((member) => member.resource.type === type && referred.includes(member.resource));
  }

  /** Load balancers whose listener a resource refers to, or is referred to by, as a target group is by listeners and rules. */
  private balancersOf({ stack, resource }: Resource): Resource[] {
    const near = [
      ...referredBy(stack, resource),
      ...stack.resources.filter((other) => referredBy(stack, other).includes(resource)),
    ];
    const listeners = [...near, ...near.flatMap((other) => referredBy(stack, other))].filter(
      ({ type }) => type === 'AWS::ElasticLoadBalancingV2::Listener',
    );
    return listeners.flatMap((listener) => this.behind({ stack, resource: listener }, BALANCER));
  }

  private tasksOf({ stack, resource }: Resource): CheckedResource[] {
    const tasks = servicesBehind(stack, resource).flatMap((service) => referredBy(stack, service));
    return tasks.filter(({ type }) => type === 'AWS::ECS::TaskDefinition');
  }

  private bucketsNamed(name: string): Resource[] {
    return this.members.filter(({ resource }) => resource.type === 'AWS::S3::Bucket' && resource.name === name);
  }

  /** Functions that the role of a function may invoke, in any region. */
  private invokedBy({ stack, resource }: Resource): Resource[] {
    const roles = referredBy(stack, resource).filter(({ type }) => type === 'AWS::IAM::Role');
    const policies = stack.resources.filter(
      (policy) => policy.type === 'AWS::IAM::Policy' && referredBy(stack, policy).some((role) => roles.includes(role)),
    );
    const allowed = policies
      .flatMap(({ properties }) => listAt(properties, 'PolicyDocument', 'Statement'))
      .filter((statement) => textsAt(statement, 'Action').includes('lambda:InvokeFunction'))
      .flatMap((statement) => textsAt(statement, 'Resource'));
    return this.members.filter(
      (member) => member.resource.type === FUNCTION && allowed.some((arn) => arn === arnOf(member)),
    );
  }
}

function arnOf({ stack, resource }: Resource): string {
  return `arn:aws:lambda:${stack.region}:${stack.account}:function:${resource.name}`;
}
