/**
 * Draws the architecture from the synthesized templates: `npm run diagram -- ASSEMBLY_DIR OUT.svg`.
 * Every box and arrow is read off a resource or a reference in it, so the picture shows what would be deployed.
 */
import { writeFileSync } from 'node:fs';
import { instance } from '@viz-js/viz';
import { readAssembly, type Stack } from '../local/engine/assembly';

interface Node {
  readonly id: string;
  readonly stack: Stack;
  readonly logicalId: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** Types worth a box, with what to write in it. The rest (networks, roles, log groups, ...) would hide the picture. */
const BOXES: Readonly<Record<string, (node: Node) => string>> = {
  'AWS::CloudFront::Distribution': () => 'CloudFront distribution\nPOP caches',
  'AWS::CloudFront::Function': () => 'viewer-request function',
  'AWS::CloudFront::KeyValueStore': () => 'KeyValueStore\nlive versions',
  'AWS::Route53::RecordSet': ({ properties }) => recordName(properties),
  'AWS::ElasticLoadBalancingV2::LoadBalancer': () => 'load balancer',
  'AWS::ECS::Service': () => 'edge service on Fargate\nmemory, l2 (disk), ONNX models',
  'AWS::ElastiCache::ReplicationGroup': ({ properties }) =>
    `Valkey ${text(properties.CacheNodeType)}\nl1 and control log`,
  'AWS::S3::Bucket': () => 'S3 model bucket',
  'AWS::SNS::Topic': () => 'control topic',
  'AWS::Lambda::Function': ({ logicalId }) => (/status/i.test(logicalId) ? 'status function' : 'invalidation function'),
};

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function recordName(properties: Readonly<Record<string, unknown>>): string {
  return text(properties.Name).replace(/\.$/, '');
}

/** Logical ids that a value names by `Ref` or `Fn::GetAtt`. */
function references(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(references);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    if (key === 'Ref' && typeof inner === 'string') return [inner];
    if (key === 'Fn::GetAtt') return [Array.isArray(inner) ? String(inner[0]) : (String(inner).split('.')[0] ?? '')];
    return references(inner);
  });
}

function resourcesOf(stacks: readonly Stack[]): Node[] {
  return stacks.flatMap((stack) =>
    Object.entries(stack.template.Resources).map(([logicalId, { Type, Properties }]) => ({
      id: `${stack.id}/${logicalId}`,
      stack,
      logicalId,
      type: Type,
      properties: Properties,
    })),
  );
}

class Picture {
  private readonly edges = new Map<string, string>();

  constructor(private readonly nodes: readonly Node[]) {}

  private ofType(type: string): Node[] {
    return this.nodes.filter((node) => node.type === type);
  }

  private find(stack: Stack, logicalId: string): Node | undefined {
    return this.nodes.find((node) => node.stack === stack && node.logicalId === logicalId);
  }

  private referred(node: Node, type: string, within: unknown = node.properties): Node[] {
    const found = references(within).map((id) => this.find(node.stack, id));
    return found.filter((target): target is Node => target?.type === type);
  }

  private bucketOf(name: string): Node | undefined {
    return this.ofType('AWS::S3::Bucket').find(({ stack, properties }) => {
      const own = `${text(properties.BucketNamePrefix)}-${stack.account}-${stack.region}-an`;
      return name.startsWith(own);
    });
  }

  /** An arrow stands once, whatever number of properties say the same. */
  private arrow(from: Node | undefined, to: Node | undefined, label = ''): void {
    if (!from || !to) return;
    const edge = `${JSON.stringify(from.id)} -> ${JSON.stringify(to.id)}`;
    const labels = new Set([...(this.edges.get(edge)?.split(', ') ?? []), label].filter((text) => text !== ''));
    this.edges.set(edge, [...labels].join(', '));
  }

  /** The request path, read from distribution, records, listeners and services. */
  requestPath(): void {
    for (const distribution of this.ofType('AWS::CloudFront::Distribution')) {
      for (const fn of this.referred(distribution, 'AWS::CloudFront::Function')) {
        this.arrow(distribution, fn, 'viewer request');
        for (const store of this.referred(fn, 'AWS::CloudFront::KeyValueStore')) this.arrow(fn, store);
      }
      const { Origins = [] } = distribution.properties.DistributionConfig as {
        Origins?: { Id: string; DomainName: string }[];
      };
      for (const { Id, DomainName } of Origins) {
        this.arrow(distribution, this.bucketOf(text(DomainName)), Id);
        const records = this.ofType('AWS::Route53::RecordSet').filter(
          ({ properties }) => recordName(properties) === DomainName,
        );
        for (const record of records) this.arrow(distribution, record, Id);
      }
    }
    for (const record of this.ofType('AWS::Route53::RecordSet')) {
      for (const target of this.referred(record, 'AWS::CloudFront::Distribution'))
        this.arrow(record, target, text(record.properties.Type));
      const label = text(record.properties.Region ?? '').replace(/"/g, '');
      for (const lb of this.referred(record, 'AWS::ElasticLoadBalancingV2::LoadBalancer'))
        this.arrow(record, lb, label && `near ${label}`);
    }
    for (const listener of this.ofType('AWS::ElasticLoadBalancingV2::Listener')) {
      const groups = this.referred(listener, 'AWS::ElasticLoadBalancingV2::TargetGroup');
      const services = this.ofType('AWS::ECS::Service').filter((service) =>
        this.referred(service, 'AWS::ElasticLoadBalancingV2::TargetGroup').some((group) => groups.includes(group)),
      );
      for (const lb of this.referred(listener, 'AWS::ElasticLoadBalancingV2::LoadBalancer')) {
        for (const service of services) this.arrow(lb, service);
      }
    }
  }

  /** What tasks and functions are told in their environment, subscriptions, and replication rules. */
  wiring(): void {
    for (const service of this.ofType('AWS::ECS::Service')) {
      for (const definition of this.referred(service, 'AWS::ECS::TaskDefinition')) {
        for (const cache of this.referred(definition, 'AWS::ElastiCache::ReplicationGroup'))
          this.arrow(service, cache, 'REDIS_URL');
        const bucket = /"MODEL_BUCKET","Value":"([^"]+)"/.exec(JSON.stringify(definition.properties))?.[1];
        if (bucket) this.arrow(service, this.bucketOf(bucket), 'MODEL_BUCKET');
      }
    }
    for (const fn of this.ofType('AWS::Lambda::Function')) {
      for (const cache of this.referred(fn, 'AWS::ElastiCache::ReplicationGroup')) this.arrow(fn, cache, 'REDIS_URL');
    }
    for (const subscription of this.ofType('AWS::SNS::Subscription')) {
      for (const topic of this.referred(subscription, 'AWS::SNS::Topic')) {
        for (const fn of this.referred(subscription, 'AWS::Lambda::Function')) this.arrow(topic, fn, 'subscription');
      }
    }
    for (const bucket of this.ofType('AWS::S3::Bucket')) {
      for (const [, name] of JSON.stringify(bucket.properties).matchAll(/arn:aws:s3:::([^"]+)/g)) {
        this.arrow(bucket, this.bucketOf(name ?? ''), 'replication');
      }
    }
  }

  toDot(): string {
    const places = new Map<string, Node[]>();
    for (const node of this.boxes()) places.set(placeOf(node), [...(places.get(placeOf(node)) ?? []), node]);
    const clusters = [...places].map(([place, nodes], i) => {
      const boxes = nodes.map(
        (node) => `    ${JSON.stringify(node.id)} [label=${JSON.stringify(BOXES[node.type]?.(node))}];`,
      );
      return [`  subgraph cluster_${i} {`, `    label=${JSON.stringify(place)};`, ...boxes, '  }'].join('\n');
    });
    const edges = [...this.edges].map(([edge, label]) => `  ${edge} [label=${JSON.stringify(label)}];`);
    return [
      'digraph mlcdn {',
      '  graph [rankdir=LR, fontname="Helvetica", style=rounded, color="#8a94a6", nodesep=0.18, ranksep=0.9];',
      '  node [shape=box, margin="0.15,0.06", style="rounded,filled", fillcolor="#eef3fb", color="#3b5b8c", fontname="Helvetica", fontsize=11];',
      '  edge [color="#5a6b85", fontname="Helvetica", fontsize=9, fontcolor="#5a6b85"];',
      ...clusters,
      ...edges,
      '}',
    ].join('\n');
  }

  private boxes(): Node[] {
    return this.nodes.filter((node) => node.type in BOXES);
  }
}

function placeOf({ stack, type }: Node): string {
  if (type === 'AWS::Route53::RecordSet') return 'Route 53';
  return type.startsWith('AWS::CloudFront::') ? 'global' : stack.region;
}

async function main([assembly, out]: readonly string[]): Promise<void> {
  if (!assembly || !out) throw new Error('usage: npm run diagram -- ASSEMBLY_DIR OUT.svg');
  const picture = new Picture(resourcesOf(readAssembly(assembly)));
  picture.requestPath();
  picture.wiring();
  const viz = await instance();
  writeFileSync(out, viz.renderString(picture.toDot(), { format: 'svg' }));
}

void main(process.argv.slice(2));
