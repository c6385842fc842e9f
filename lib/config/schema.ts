import { z } from 'zod';
import { RoutePolicies } from '../core/cache-policy';
import { ModelName } from '../core/model-name';
import { AWS_REGIONS, type RegionCode } from '../core/regions';
import { CLOUDFRONT_PREFIX_LISTS } from './cloudfront-prefix-lists';
import { FARGATE_CPU_UNITS, fargateMemorySizes } from './fargate';
import { nearestNames } from './nearest-names';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** Share of a task's memory that the memory tier may take; the rest is for Node, ONNX Runtime and the models. */
const MEMORY_CACHE_SHARE = 0.5;

/** Disk that Fargate's image layers, model downloads and the file system itself need beside the disk tier. */
const DISK_RESERVE_GIB = 8;

/**
 * Share of a task definition that the route policies may take, which reach the tasks in a variable: it holds 64 KiB in all
 * ("Task definition size" of the Amazon ECS service quotas).
 */
const ROUTE_POLICIES_BYTES = 32 * 1024;

const KNOWN_REGIONS = Object.keys(AWS_REGIONS);

/** Days that CloudWatch Logs can keep events. Source: PutRetentionPolicy in the CloudWatch Logs API reference. */
const LOG_RETENTION_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

function quoted(value: unknown): string {
  return JSON.stringify(value) ?? 'no value';
}

const Region = z.custom<RegionCode>((value) => typeof value === 'string' && value in AWS_REGIONS, {
  error: ({ input }) =>
    `${quoted(input)} is not a commercial AWS region; nearest names: ${nearestNames(String(input), KNOWN_REGIONS).join(', ')}`,
});

function oneOf(allowed: readonly number[]) {
  return z.number().refine((value) => allowed.includes(value), {
    error: ({ input }) => `${quoted(input)} must be one of ${allowed.join(', ')}`,
  });
}

function wholeBetween(min: number, max: number) {
  const error = ({ input }: { input?: unknown }) => `${quoted(input)} must be a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

function matching(pattern: RegExp, meaning: string) {
  const error = ({ input }: { input?: unknown }) => `${quoted(input)} must be ${meaning}`;
  return z.string({ error }).regex(pattern, { error });
}

/** Size of one region's edge service. */
const EdgeSizes = z.strictObject({
  /** CPU units of a task; 1024 is one vCPU. The service runs one process per vCPU. */
  cpu: oneOf(FARGATE_CPU_UNITS),
  memoryMiB: z.int().positive(),
  /** Tasks at rest. */
  desiredCount: wholeBetween(1, 1000),
  /** Tasks under full load. */
  maxCount: wholeBetween(1, 1000),
  /** Requests a minute that one task should answer; more add tasks. */
  requestsPerTaskPerMinute: wholeBetween(60, 10_000_000),
  /** Share of the tasks beyond a region's first that run on Fargate Spot, percent. */
  spotPercent: wholeBetween(0, 100),
  /** Budget of the memory tier of one task. */
  memoryCacheBytes: wholeBetween(MIB, 60 * GIB),
  /** Budget of the disk tier of one task. */
  diskCacheBytes: wholeBetween(MIB, 190 * GIB),
  /** Disk of one task. Fargate gives 20 GiB to every task and takes 21-200 when asked for more. */
  ephemeralStorageGiB: wholeBetween(21, 200),
});

/** Size of one region's Valkey. */
const CacheSizes = z.strictObject({
  nodeType: matching(
    /^cache\.[a-z]\d[a-z]{0,3}\.(micro|small|medium|large|(\d{1,2})?xlarge)$/,
    'an ElastiCache node type such as cache.t4g.micro or cache.r7g.large',
  ),
  /** Read replicas beside the primary; with at least one, a failed primary is replaced by a replica. */
  replicas: wholeBetween(0, 5),
});

const PrefixListId = matching(/^pl-[0-9a-f]{8,17}$/, 'a prefix list id such as pl-3b927c52');
const Zones = wholeBetween(2, 3);

/** Regions in which a new account sees two availability zones only. Source: "Regions and Availability Zones" of AWS. */
const TWO_ZONE_REGIONS: readonly string[] = ['us-west-1'];

const RegionRow = z.strictObject({
  region: Region,
  edge: EdgeSizes.partial().default({}),
  cache: CacheSizes.partial().default({}),
  /**
   * Managed prefix list `com.amazonaws.global.cloudfront.origin-facing` of this region, from which alone the load balancer
   * takes connections; by default the one that AWS has published. Opt-in regions must give it, or their load balancer is
   * guarded by its listener alone.
   */
  cloudFrontPrefixListId: PrefixListId.optional(),
  /** Availability zones of this region, where it has fewer or should use fewer than the environment says. */
  availabilityZones: Zones.optional(),
  /**
   * Managed prefix list `com.amazonaws.<region>.route53-healthchecks`. Where the load balancer is closed to all but
   * CloudFront, Route 53 can only try it when this is given too. It weighs 25 rules, so it gets a security group of its own.
   */
  route53PrefixListId: PrefixListId.optional(),
});

/** What an environment's document may say. Sizes hold for every region; a region's row overrides them field by field. */
const Document = z.strictObject({
  name: z.enum(['dev', 'staging', 'prod', 'local']),
  account: matching(/^\d{12}$/, 'a twelve-digit AWS account id'),
  domain: z.strictObject({
    /** Name that viewers call. */
    name: matching(
      /^(?=.{1,240}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/,
      'a lower-case DNS name with at least two labels, such as cdn.example.com',
    ),
    /** Public hosted zone that holds the name. */
    hostedZoneId: matching(/^Z[A-Z0-9]{1,31}$/, 'a Route 53 hosted zone id such as Z0123456789ABCDEFGHIJ'),
  }),
  /** Where the primary model bucket lives; the first region unless said. */
  homeRegion: Region.optional(),
  regions: z.array(RegionRow).min(1, { error: 'must name at least one region' }),
  edge: EdgeSizes,
  cache: CacheSizes,
  /**
   * How a region is chosen: `latency` by Route 53 alone; `score` by the viewer-request function, from the distance, load
   * and hit rate of the regions, with latency routing where the scores cannot tell.
   */
  routing: z
    .enum(['latency', 'score'], { error: ({ input }) => `${quoted(input)} must be "latency" or "score"` })
    .default('latency'),
  /** Availability zones that a region's edge is spread over. */
  availabilityZones: Zones,
  /** NAT gateways of a region: 1 is the cheapest, one a zone survives the loss of any zone. */
  natGateways: wholeBetween(1, 3),
  /**
   * Names of the keys by which load balancers know CloudFront, such as the months they were made in. CloudFront sends the
   * first, load balancers accept all. To rotate, deploy with a new one in front, then without the old.
   */
  originKeys: z
    .array(matching(/^[a-z0-9-]{1,20}$/, 'a name of 1 to 20 lower-case letters, digits and hyphens'))
    .min(1, { error: 'must name at least one key' })
    .max(2, { error: 'must name at most two keys: the one in use and the one before' })
    .refine((keys) => new Set(keys).size === keys.length, { error: 'must not name a key twice' }),
  /** Whether a deployment of the edge service is taken back when the region's alarms fire, beside failed health checks. */
  rollBackOnAlarm: z.boolean(),
  /**
   * Whether one task of each region, of those that `desiredCount` asks for, is a service of its own that gets a new version
   * first; the others follow when its deployment has come through.
   */
  canaryTask: z.boolean().default(false),
  /** Days that the access logs of CloudFront and of the load balancers are kept; absent: none are written. */
  accessLogDays: wholeBetween(1, 3650).optional(),
  /** AWS WAF in front of the distribution; absent: none, and nothing to pay for it. */
  firewall: z
    .strictObject({
      /** Requests of one IP address in five minutes above which it is answered 429. */
      requestsPerAddress: wholeBetween(10, 2_000_000_000),
    })
    .optional(),
  /** What the environment may cost, and who hears of it; absent: nobody. */
  budget: z
    .strictObject({
      monthlyUsd: wholeBetween(1, 100_000_000),
      emails: z
        .array(z.email({ error: ({ input }) => `${quoted(input)} must be an e-mail address` }))
        .min(1)
        .max(10),
    })
    .optional(),
  /** HTTP origin behind the paths that are neither predictions nor artifacts. */
  originUrl: z
    .url({ protocol: /^https?$/, error: ({ input }) => `${quoted(input)} must be an http or https URL` })
    .optional(),
  /** How the HTTP origin's responses are cached at the edge, by path; the first that matches applies. */
  routePolicies: RoutePolicies.default([]).refine(
    (policies) => Buffer.byteLength(JSON.stringify(policies)) <= ROUTE_POLICIES_BYTES,
    {
      error: ({ input }) =>
        `${Buffer.byteLength(JSON.stringify(input))} bytes as JSON must be at most ${ROUTE_POLICIES_BYTES}`,
    },
  ),
  /** Model that answers when a request names none. */
  defaultModel: ModelName,
  /** Longest time until a task notices a moved channel when the message about it was lost, seconds. */
  channelPollSeconds: wholeBetween(1, 3600),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']),
  logRetentionDays: oneOf(LOG_RETENTION_DAYS),
  /** Who is told of alarms, by the topic of each region, beside what subscribes to it; and where the runbooks are. */
  alarms: z
    .strictObject({
      emails: z
        .array(z.email({ error: ({ input }) => `${quoted(input)} must be an e-mail address` }))
        .max(10)
        .default([]),
      /** Where `docs/runbooks` is published; without it alarms name the page's path in the repository. */
      runbooksUrl: z
        .url({ protocol: /^https?$/, error: ({ input }) => `${quoted(input)} must be an http or https URL` })
        .optional(),
    })
    .prefault({}),
  /**
   * Protects from deletion by mistake: stacks and load balancers refuse it, and buckets outlive their stack. Taken away by
   * a deployment of its own before a teardown.
   */
  protect: z.boolean(),
  models: z.strictObject({
    /** Days that overwritten and deleted objects stay recoverable. */
    noncurrentDays: wholeBetween(1, 3650),
    /** Pays for S3 Replication Time Control: 99.99 % of objects within 15 minutes, by contract. */
    replicationTimeControl: z.boolean(),
  }),
});

/** What a document may say, before defaults and overrides are worked in. */
export type EnvironmentDocument = z.input<typeof Document>;
type ParsedDocument = z.output<typeof Document>;
type Sizes = Pick<ParsedDocument, 'edge' | 'cache'>;

function withOverrides<T extends object>(sizes: T, overrides: { readonly [K in keyof T]?: T[K] | undefined }): T {
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined);
  return { ...sizes, ...Object.fromEntries(given) };
}

function sizesOf(document: ParsedDocument, row: ParsedDocument['regions'][number]): Sizes {
  return { edge: withOverrides(document.edge, row.edge), cache: withOverrides(document.cache, row.cache) };
}

type Report = (path: readonly (string | number)[], message: string) => void;

/** What is wrong with a region's sizes: the field of `edge`, and why. */
interface SizeFault {
  readonly field: keyof Sizes['edge'];
  readonly message: string;
}

function sizeFaults({ edge }: Sizes): SizeFault[] {
  const faults: SizeFault[] = [];
  const memorySizes = fargateMemorySizes(edge.cpu);
  // A CPU size that does not exist is reported as such.
  if (memorySizes.length > 0 && !memorySizes.includes(edge.memoryMiB)) {
    const message = `${edge.memoryMiB} is not offered by Fargate with cpu ${edge.cpu}; allowed: ${memorySizes.join(', ')}`;
    faults.push({ field: 'memoryMiB', message });
  }
  if (edge.maxCount < edge.desiredCount) {
    const message = `${edge.maxCount} must be at least desiredCount (${edge.desiredCount})`;
    faults.push({ field: 'maxCount', message });
  }
  const memoryBudget = edge.memoryMiB * MIB * MEMORY_CACHE_SHARE;
  if (edge.memoryCacheBytes > memoryBudget) {
    const message = `${edge.memoryCacheBytes} must be at most half of the task's memory (${memoryBudget})`;
    faults.push({ field: 'memoryCacheBytes', message });
  }
  const diskBudget = (edge.ephemeralStorageGiB - DISK_RESERVE_GIB) * GIB;
  if (edge.diskCacheBytes > diskBudget) {
    const message = `${edge.diskCacheBytes} must leave ${DISK_RESERVE_GIB} GiB of ephemeralStorageGiB (${edge.ephemeralStorageGiB}) free: at most ${diskBudget}`;
    faults.push({ field: 'diskCacheBytes', message });
  }
  return faults;
}

/** Reports the faults of the common sizes, and of a region's only those that its own row brings in. */
function checkSizes(document: ParsedDocument, report: Report): void {
  const common = sizeFaults(document);
  for (const { field, message } of common) report(['edge', field], message);
  document.regions.forEach((row, index) => {
    for (const { field, message } of sizeFaults(sizesOf(document, row))) {
      const inherited = common.some((fault) => fault.field === field && fault.message === message);
      if (!inherited) report(['regions', index, 'edge', field], message);
    }
  });
}

function checkRegions(document: ParsedDocument, report: Report): void {
  const regions = document.regions.map((row) => row.region);
  regions.forEach((region, index) => {
    const first = regions.indexOf(region);
    if (first !== index) report(['regions', index, 'region'], `"${region}" is already named by regions[${first}]`);
  });
  if (document.homeRegion && !regions.includes(document.homeRegion)) {
    report(['homeRegion'], `"${document.homeRegion}" must be one of the environment's regions: ${regions.join(', ')}`);
  }
}

function checkRoutePolicies({ originUrl, routePolicies }: ParsedDocument, report: Report): void {
  if (originUrl !== undefined || routePolicies.length === 0) return;
  report(['routePolicies'], 'need the originUrl whose responses they are about');
}

function checkDocument(document: ParsedDocument, context: z.core.$RefinementCtx<ParsedDocument>): void {
  const report: Report = (path, message) => context.addIssue({ code: 'custom', path: [...path], message });
  checkRegions(document, report);
  checkSizes(document, report);
  checkRoutePolicies(document, report);
  checkNetwork(document, report);
  checkCanary(document, report);
}

function checkCanary(document: ParsedDocument, report: Report): void {
  if (!document.canaryTask) return;
  if (!document.rollBackOnAlarm) {
    report(['canaryTask'], 'needs rollBackOnAlarm: without alarms nothing tells a bad canary from a good one');
  }
  const requireTwo = (path: readonly (string | number)[], desiredCount: number | undefined) => {
    if (desiredCount === undefined || desiredCount >= 2) return;
    report([...path, 'desiredCount'], `${desiredCount} must be at least 2 with canaryTask: one is the canary`);
  };
  requireTwo(['edge'], document.edge.desiredCount);
  document.regions.forEach((row, index) => {
    requireTwo(['regions', index, 'edge'], row.edge.desiredCount);
  });
}

function zonesOf(region: RegionCode, wanted: number): number {
  return TWO_ZONE_REGIONS.includes(region) ? 2 : wanted;
}

function checkNetwork({ natGateways, availabilityZones }: ParsedDocument, report: Report): void {
  if (natGateways <= availabilityZones) return;
  report(['natGateways'], `${natGateways} must be at most availabilityZones (${availabilityZones})`);
}

function resolve(document: ParsedDocument) {
  const regions = document.regions.map((row) => ({
    ...row,
    ...sizesOf(document, row),
    cloudFrontPrefixListId: row.cloudFrontPrefixListId ?? CLOUDFRONT_PREFIX_LISTS[row.region],
    availabilityZones: row.availabilityZones ?? zonesOf(row.region, document.availabilityZones),
  }));
  const homeRegion = document.homeRegion ?? regions[0]?.region;
  if (!homeRegion) throw new Error('an environment without regions passed its own schema');
  return { ...document, homeRegion, regions };
}

/** Validates an environment's document and works its overrides in. */
export const EnvironmentSchema = Document.superRefine(checkDocument).transform(resolve);

/** One environment, complete: every region carries its own sizes. */
export type EnvironmentConfig = z.output<typeof EnvironmentSchema>;
export type EnvironmentName = EnvironmentConfig['name'];
/** One region of an environment with the sizes that hold there. */
export type RegionConfig = EnvironmentConfig['regions'][number];
