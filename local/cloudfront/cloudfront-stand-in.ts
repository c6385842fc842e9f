import type { Distances, Dns, S3Origin } from '../engine/network';
import type { AwsApi } from '../engine/types';
import type { Pop } from '../geo/pops';
import type { Geo, ViewerPlace } from '../geo/viewer-places';
import { regionsByDistance } from '../geo/wide-area';
import { type Clock, systemClock } from './clock';
import { cloudFrontApi } from './cloudfront-api';
import { createDistribution, type Distribution, type DistributionIdentity } from './distribution';
import { DistributionEdge } from './distribution-edge';
import { keyValueStoreApi } from './key-value-store-api';
import { OriginClient } from './origin-client';
import { Registry } from './registry';
import { type PopCounters, PopStatistics } from './statistics';
import { openViewerServer, type ViewerServer } from './viewer-server';

export interface CloudFrontOptions {
  readonly dns: Dns;
  readonly distances: Distances;
  readonly s3: S3Origin;
  readonly geo: Geo;
  readonly account: string;
  readonly log: (line: string) => void;
  /** Whether viewers and POPs wait as long as the simulated distances would make them. */
  readonly injectDelays: boolean;
  readonly clock?: Clock;
  /** Bytes that one POP keeps of one distribution. */
  readonly popBytes?: number;
  /** Time in which all POPs have taken up a changed distribution, ms. At AWS it is minutes. */
  readonly propagationMs?: number;
  /** Names of a certificate, to compare aliases with; `undefined` where they are unknown. */
  readonly certificateNames?: (arn: string) => readonly string[] | undefined;
}

export interface ListenOptions {
  /** The distribution that answers, whatever `Host` says; without it the `Host` of each request chooses. */
  readonly distributionId?: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Address to listen on; 127.0.0.1 by default. */
  readonly host?: string;
}

const DEFAULT_POP_BYTES = 128 * 1024 * 1024;
const DEFAULT_PROPAGATION_MS = 2_000;

/** CloudFront on one machine: distributions from templates, served by simulated POPs over real HTTP. */
export class CloudFrontStandIn {
  readonly registry: Registry;
  /** The APIs `cloudfront` and `cloudfront-keyvaluestore`. */
  readonly apis: readonly AwsApi[];
  private readonly edges = new Map<string, DistributionEdge>();
  private readonly client: OriginClient;
  private readonly clock: Clock;
  private readonly statistics = new PopStatistics();

  constructor(private readonly options: CloudFrontOptions) {
    const { dns, distances, s3, injectDelays } = options;
    this.clock = options.clock ?? systemClock;
    this.client = new OriginClient({ dns, distances, s3, injectDelays, clock: this.clock });
    this.registry = new Registry({
      account: options.account,
      now: this.clock.now,
      log: options.log,
      certificateNames: options.certificateNames ?? (() => undefined),
    });
    this.apis = [
      cloudFrontApi({
        distribution: (id) => this.edges.get(id),
        configure: (id, config) => this.configure(id, config),
        keyValueStore: (name) => this.registry.keyValueStoreByName(name),
      }),
      keyValueStoreApi((arn) => this.registry.keyValueStore(arn)),
    ];
  }

  /**
   * Creates a distribution from its `DistributionConfig`.
   *
   * @throws an Error that says what CloudFront would refuse.
   */
  createDistribution(identity: DistributionIdentity, config: unknown): Distribution {
    const distribution = createDistribution(identity, config, this.registry);
    this.edges.set(
      distribution.id,
      new DistributionEdge(distribution, {
        client: this.client,
        clock: this.clock,
        popBytes: this.options.popBytes ?? DEFAULT_POP_BYTES,
        propagationMs: this.options.propagationMs ?? DEFAULT_PROPAGATION_MS,
        countOriginBytes: (pop, bytes) => this.statistics.countFromOrigin(pop, bytes),
      }),
    );
    return distribution;
  }

  /**
   * Gives a distribution another `DistributionConfig`, which its POPs take up one after the other.
   *
   * @throws an Error that says what CloudFront would refuse.
   */
  configure(id: string, config: unknown): void {
    const edge = this.edges.get(id);
    if (!edge) throw new Error(`there is no distribution ${id}`);
    const { arn, domainName } = edge.distribution;
    edge.update(createDistribution({ id, arn, domainName }, config, this.registry));
  }

  deleteDistribution(id: string): void {
    this.edges.delete(id);
  }

  distribution(id: string): DistributionEdge | undefined {
    return this.edges.get(id);
  }

  /**
   * Opens a listener for viewers.
   *
   * @throws when there is no such distribution, or a sentence that says what to do when the port is in use.
   */
  async listen({ distributionId, port, host = '127.0.0.1' }: ListenOptions): Promise<ViewerServer> {
    if (distributionId !== undefined && !this.edges.has(distributionId)) {
      throw new Error(`there is no distribution ${distributionId}; there are: ${[...this.edges.keys()].join(', ')}`);
    }
    const { geo, injectDelays, log } = this.options;
    const { clock, statistics } = this;
    const distributionFor = (name: string) =>
      distributionId === undefined ? this.distributionFor(name) : this.edges.get(distributionId);
    return openViewerServer({ geo, clock, injectDelays, log, statistics, distributionFor }, port, host);
  }

  /** Counters by POP code. */
  stats(): Record<string, Readonly<PopCounters>> {
    return this.statistics.snapshot();
  }

  /** Bytes of bodies since the start, over all POPs. */
  bytes(): { readonly toViewers: number; readonly fromOrigins: number } {
    const counters = Object.values(this.stats());
    return {
      toViewers: counters.reduce((sum, { bytesServed }) => sum + bytesServed, 0),
      fromOrigins: counters.reduce((sum, { bytesFromOrigin }) => sum + bytesFromOrigin, 0),
    };
  }

  /** Where a viewer is taken to be, which POP serves it, and `regions` as that POP sees them, nearest first. */
  explain(ip: string, regions: readonly string[]): { place: ViewerPlace; pop: Pop; regions: string[] } {
    const place = this.options.geo.locate(ip);
    const pop = this.options.geo.nearestPop(place);
    return { place, pop, regions: regionsByDistance(pop, regions, this.options.distances) };
  }

  /** Ends the connections to origins. */
  close(): Promise<void> {
    return this.client.close();
  }

  /** By `Host`; where there is one distribution only, it answers to every name, as the machine's own has no alias. */
  private distributionFor(host: string): DistributionEdge | undefined {
    const edges = [...this.edges.values()];
    return edges.find((edge) => edge.answersTo(host)) ?? (edges.length === 1 ? edges[0] : undefined);
  }
}
