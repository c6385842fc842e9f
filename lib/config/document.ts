import { z } from 'zod';
import { RoutePolicies } from '../core/cache-policy';
import { ModelName } from '../core/model-name';
import { matching, oneOf, quoted, Region, wholeBetween } from './fields';
import { CacheSizes, EdgeSizes } from './sizes';

/**
 * Share of a task definition that the route policies may take, which reach the tasks in a variable: it holds 64 KiB in all
 * ("Task definition size" of the Amazon ECS service quotas).
 */
const ROUTE_POLICIES_BYTES = 32 * 1024;

/** Days that CloudWatch Logs can keep events. Source: PutRetentionPolicy in the CloudWatch Logs API reference. */
const LOG_RETENTION_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

const PrefixListId = matching(/^pl-[0-9a-f]{8,17}$/, 'a prefix list id such as pl-3b927c52');
const Zones = wholeBetween(2, 3);

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
export const Document = z.strictObject({
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
  /** How the keys are renewed by which load balancers know CloudFront. */
  originKeyRotation: z
    .strictObject({
      /** Days from one rotation to the next. */
      everyDays: wholeBetween(1, 1000).default(30),
      /**
       * Seconds within which CloudFormation has written what it had read of a secret, and a changed rule is known to all
       * of its load balancer; a rotation relies upon nothing younger.
       */
      settleSeconds: wholeBetween(1, 120).default(30),
    })
    .prefault({}),
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
/** A document with its defaults, every field valid by itself. */
export type ParsedDocument = z.output<typeof Document>;
