import { z } from 'zod';
import type { ElbStandIn } from '../elb/elb-stand-in';
import type { Distances, Dns, ResolvedOrigin } from '../engine/network';
import { physicalId } from '../engine/physical-name';
import { Flag, parseProperties } from '../engine/properties';
import type { Resource, ResourceModule, Running } from '../engine/types';

const HostedZone = z.object({ Name: z.string() });

const RecordSet = z.object({
  Name: z.string(),
  Type: z.enum(['A', 'AAAA', 'HTTPS'], { error: 'only alias records of type A, AAAA and HTTPS are run here' }),
  HostedZoneId: z.string().optional(),
  HostedZoneName: z.string().optional(),
  Region: z.string().optional(),
  SetIdentifier: z.string().optional(),
  AliasTarget: z.object({ DNSName: z.string(), HostedZoneId: z.string(), EvaluateTargetHealth: Flag.default(false) }),
});

interface AliasRecord {
  readonly name: string;
  readonly type: string;
  readonly target: string;
  readonly evaluateTargetHealth: boolean;
  /** Latency records have both. */
  readonly region: string | undefined;
  readonly setIdentifier: string | undefined;
}

/** Route 53: alias records, simple or by latency, over the load balancers of this machine. */
export class Route53StandIn implements Dns {
  private readonly records: AliasRecord[] = [];

  constructor(
    private readonly elb: ElbStandIn,
    private readonly distances: Distances,
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
    { type: 'AWS::Route53::RecordSet', start: async (resource) => this.startRecordSet(resource) },
  ];

  /**
   * Of the latency records with a healthy target, the one nearest to `fromRegion`. When no target is healthy all count
   * as healthy, as in Route 53 ("How Amazon Route 53 chooses records when health checking is configured"), and the
   * load balancer answers 502 or 503. `undefined` when the name has no record that leads to a load balancer.
   */
  resolve(hostname: string, fromRegion: string): ResolvedOrigin | undefined {
    const name = normalized(hostname);
    const candidates = this.records.flatMap((record) => {
      const balancer =
        record.name === name && record.type === 'A' ? this.elb.balancerByDnsName(record.target) : undefined;
      return balancer ? [{ balancer, healthy: !record.evaluateTargetHealth || balancer.isHealthy, record }] : [];
    });
    const healthy = candidates.filter((candidate) => candidate.healthy);
    const distance = (region: string | undefined) =>
      region === undefined ? 0 : this.distances.betweenRegionsMs(fromRegion, region);
    const [nearest] = (healthy.length > 0 ? healthy : candidates).sort(
      (a, b) => distance(a.record.region) - distance(b.record.region),
    );
    const listener = nearest?.balancer.mainListener;
    if (!nearest || !listener) return undefined;
    return { url: listener.url, region: nearest.balancer.region, certificateNames: listener.options.certificateNames };
  }

  private startRecordSet(resource: Resource): Running {
    const properties = parseProperties(resource, RecordSet, ['Comment']);
    const { Name, Type, Region, SetIdentifier, AliasTarget } = properties;
    const name = normalized(Name);
    if ((Region === undefined) !== (SetIdentifier === undefined)) {
      throw new Error('Region and SetIdentifier belong together: a latency record needs both');
    }
    const siblings = this.records.filter((record) => record.name === name && record.type === Type);
    if (siblings.some((record) => record.setIdentifier === SetIdentifier || record.region === Region)) {
      throw new Error(
        `Name: ${name} ${Type} has a record for ${SetIdentifier ?? 'simple routing'} in ${Region ?? 'any region'} already`,
      );
    }
    if (siblings.some((record) => (record.region === undefined) !== (Region === undefined))) {
      throw new Error(`Name: ${name} ${Type} cannot have both a simple and a latency record`);
    }
    const target = normalized(AliasTarget.DNSName);
    if (/\.elb\.amazonaws\.com$/.test(target) && !this.elb.balancerByDnsName(target)) {
      throw new Error(`AliasTarget.DNSName: there is no load balancer ${target}`);
    }
    const record: AliasRecord = {
      ...{ name, type: Type, target, region: Region, setIdentifier: SetIdentifier },
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
