import { z } from 'zod';
import { type Peer, SecurityGroups } from '../ec2/security-groups';
import type { ElbStandIn } from '../elb/elb-stand-in';
import type { LoadBalancer } from '../elb/load-balancer';
import type { Distances, Dns, ResolvedOrigin } from '../engine/network';
import { physicalId } from '../engine/physical-name';
import { Flag, parseProperties } from '../engine/properties';
import type { AwsApi, Resource, ResourceModule, Running } from '../engine/types';
import { type FindAlarm, HealthChecks } from './health-checks';
import { route53Api } from './route53-api';

const HostedZone = z.object({ Name: z.string() });

const RecordSet = z.object({
  Name: z.string(),
  Type: z.enum(['A', 'AAAA', 'HTTPS'], { error: 'only alias records of type A, AAAA and HTTPS are run here' }),
  HostedZoneId: z.string().optional(),
  HostedZoneName: z.string().optional(),
  Region: z.string().optional(),
  SetIdentifier: z.string().optional(),
  Failover: z.enum(['PRIMARY', 'SECONDARY']).optional(),
  HealthCheckId: z.string().optional(),
  AliasTarget: z.object({ DNSName: z.string(), HostedZoneId: z.string(), EvaluateTargetHealth: Flag.default(false) }),
});

interface AliasRecord {
  readonly name: string;
  readonly type: string;
  readonly target: string;
  readonly evaluateTargetHealth: boolean;
  readonly healthCheckId: string | undefined;
  /** Of a latency record. */
  readonly region: string | undefined;
  /** Of a failover record. */
  readonly failover: 'PRIMARY' | 'SECONDARY' | undefined;
  /** Of every record that is not simple. */
  readonly setIdentifier: string | undefined;
}

/** What a name leads to, and whether any of its records is healthy. */
interface Answer {
  readonly origin: ResolvedOrigin;
  readonly isHealthy: boolean;
}

/** Route 53: alias records, simple, by latency or with failover, over the load balancers of this machine. */
export class Route53StandIn implements Dns {
  private readonly records: AliasRecord[] = [];
  private readonly healthChecks = new HealthChecks(
    (hostname) => this.endpointUrl(hostname),
    (region, name) => this.findAlarm(region, name),
  );
  readonly api: AwsApi = route53Api(this.healthChecks);

  constructor(
    private readonly elb: ElbStandIn,
    private readonly distances: Distances,
    private readonly findAlarm: FindAlarm,
    /** By default nothing is in any security group. */
    private readonly securityGroups = new SecurityGroups(() => undefined),
  ) {}

  readonly modules: readonly ResourceModule[] = [
    {
      type: 'AWS::Route53::HostedZone',
      start: async (resource) => {
        parseProperties(resource, HostedZone, ['HostedZoneConfig', 'HostedZoneTags', 'QueryLoggingConfig']);
        const id = physicalId('Z', resource).replace('-', '').toUpperCase();
        return { ref: id, attributes: { Id: id, NameServers: ['ns.localhost'] } };
      },
    },
    this.healthChecks.module,
    { type: 'AWS::Route53::RecordSet', start: async (resource) => this.startRecordSet(resource) },
  ];

  /**
   * Of the records whose target and health check are well, the primary one, or the one nearest to `fromRegion`. When none
   * is, all count as healthy, as in Route 53 ("How Amazon Route 53 chooses records when health checking is configured"),
   * and the load balancer answers 502 or 503. `undefined` when the name has no record that leads to a load balancer.
   */
  resolve(hostname: string, fromRegion: string): ResolvedOrigin | undefined {
    return this.answer(normalized(hostname), fromRegion)?.origin;
  }

  /** Where Route 53's checkers reach a load balancer, `undefined` when there is none or its groups keep them out. */
  private endpointUrl(hostname: string): string | undefined {
    const balancer = this.elb.balancerByDnsName(hostname);
    const listener = balancer?.mainListener;
    if (!balancer || !listener) return undefined;
    return this.admits({ kind: 'route53' }, balancer, listener.options.port) ? listener.url : undefined;
  }

  private admits(from: Peer, { network }: LoadBalancer, port: number): boolean {
    return this.securityGroups.permits(from, { kind: 'interface', interface: network }, port);
  }

  private answer(name: string, fromRegion: string): Answer | undefined {
    const candidates = this.records
      .filter((record) => record.name === name && record.type === 'A')
      .flatMap((record) => {
        const target = this.target(record, fromRegion);
        return target ? [{ record, ...target }] : [];
      });
    const healthy = candidates.filter(
      ({ record, isHealthy }) =>
        (isHealthy || !record.evaluateTargetHealth) &&
        (record.healthCheckId === undefined || this.healthChecks.isHealthy(record.healthCheckId)),
    );
    const rank = ({ region, failover }: AliasRecord) => {
      if (failover !== undefined) return failover === 'PRIMARY' ? 0 : 1;
      return region === undefined ? 0 : this.distances.betweenRegionsMs(fromRegion, region);
    };
    const [chosen] = (healthy.length > 0 ? healthy : candidates).sort((a, b) => rank(a.record) - rank(b.record));
    return chosen && { origin: chosen.origin, isHealthy: healthy.length > 0 };
  }

  /** Where a record leads: to a load balancer, or to what another record of the zone answers. */
  private target({ target }: AliasRecord, fromRegion: string): Answer | undefined {
    const balancer = this.elb.balancerByDnsName(target);
    if (!balancer) return this.answer(target, fromRegion);
    const listener = balancer.mainListener;
    if (!listener) return undefined;
    const { certificateNames, port } = listener.options;
    const admitsCloudFront = () => this.admits({ kind: 'cloudfront' }, balancer, port);
    const origin = { url: listener.url, region: balancer.region, certificateNames, admitsCloudFront };
    return { origin, isHealthy: balancer.isHealthy };
  }

  private startRecordSet(resource: Resource): Running {
    const properties = parseProperties(resource, RecordSet, ['Comment']);
    const { Name, Type, Region, SetIdentifier, Failover, HealthCheckId, AliasTarget } = properties;
    const name = normalized(Name);
    const policy = Region === undefined ? (Failover === undefined ? 'simple' : 'failover') : 'latency';
    if (Region !== undefined && Failover !== undefined) throw new Error('Region and Failover exclude each other');
    if ((policy === 'simple') !== (SetIdentifier === undefined)) {
      throw new Error(
        'SetIdentifier belongs with Region or Failover: a latency record needs both, and so does a failover record',
      );
    }
    if (HealthCheckId !== undefined) this.healthChecks.get(HealthCheckId);
    const siblings = this.records.filter((record) => record.name === name && record.type === Type);
    const other = siblings.map(policyOf).find((sibling) => sibling !== policy);
    if (other) throw new Error(`Name: ${name} ${Type} cannot have both a ${policy} and a ${other} record`);
    if (
      siblings.some(
        (record) =>
          record.setIdentifier === SetIdentifier || (record.region === Region && record.failover === Failover),
      )
    ) {
      throw new Error(
        `Name: ${name} ${Type} has a record for ${SetIdentifier ?? 'simple routing'} in ${Region ?? Failover ?? 'any region'} already`,
      );
    }
    const target = normalized(AliasTarget.DNSName);
    if (target === name) throw new Error(`AliasTarget.DNSName: ${name} cannot lead to itself`);
    if (/\.elb\.amazonaws\.com$/.test(target) && !this.elb.balancerByDnsName(target)) {
      throw new Error(`AliasTarget.DNSName: there is no load balancer ${target}`);
    }
    const record: AliasRecord = {
      ...{ name, type: Type, target, region: Region, setIdentifier: SetIdentifier },
      ...{ failover: Failover, healthCheckId: HealthCheckId },
      evaluateTargetHealth: AliasTarget.EvaluateTargetHealth,
    };
    this.records.push(record);
    return {
      ref: name,
      stop: async () => {
        this.records.splice(this.records.indexOf(record), 1);
      },
    };
  }
}

function normalized(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

function policyOf({ region, failover }: AliasRecord): 'simple' | 'latency' | 'failover' {
  if (region !== undefined) return 'latency';
  return failover === undefined ? 'simple' : 'failover';
}
