import { z } from 'zod';
import { globMatcher } from './glob';
import { CacheTag } from './tags';

const MAX_SECONDS = 31_536_000;
const MAX_BYTES = 2 ** 40;

function shown(value: unknown): string {
  return JSON.stringify(value) ?? 'no value';
}

function mustBe(meaning: string) {
  return ({ input }: { input?: unknown }) => `${shown(input)} must be ${meaning}`;
}

/** A duration in whole seconds, at most a year. */
export const Seconds = z
  .int({ error: mustBe(`whole seconds from 0 to ${MAX_SECONDS}`) })
  .min(0, { error: mustBe(`whole seconds from 0 to ${MAX_SECONDS}`) })
  .max(MAX_SECONDS, { error: mustBe(`whole seconds from 0 to ${MAX_SECONDS}`) });

/** Tiers that hold entries, nearest first. */
const TIERS = ['memory', 'l1', 'l2'] as const;

/** The tiers that may hold an entry. */
export const Tiers = z
  .array(z.enum(TIERS, { error: mustBe(`one of ${TIERS.join(', ')}`) }), {
    error: mustBe(`a list of tiers out of ${TIERS.join(', ')}`),
  })
  .min(1, { error: 'must name at least one tier; `"cache": false` or a TTL of 0 keeps answers out of all of them' })
  .refine((tiers) => new Set(tiers).size === tiers.length, { error: mustBe('a list that names each tier once') });

/** Share of a lifetime by which it is shortened at random. */
export const TtlJitter = z
  .number({ error: mustBe('a share from 0 to 1') })
  .min(0, { error: mustBe('a share from 0 to 1') })
  .max(1, { error: mustBe('a share from 0 to 1') });

/** Size of the largest body that is stored, bytes. */
export const MaxBytes = z
  .int({ error: mustBe(`whole bytes from 1 to ${MAX_BYTES}`) })
  .min(1, { error: mustBe(`whole bytes from 1 to ${MAX_BYTES}`) })
  .max(MAX_BYTES, { error: mustBe(`whole bytes from 1 to ${MAX_BYTES}`) });

/** Whether only one task of a region fills a key at a time. */
export const OncePerRegion = z.boolean({ error: mustBe('true or false') });

/** Tags as many as a response header to CloudFront carries. */
export const CacheTags = z
  .array(CacheTag, { error: mustBe('a list of cache tags') })
  .max(40, { error: 'must have at most 40 tags' });

/** An object of nothing but these fields; what is no object is told to be `meaning`. */
export function settings<T extends z.core.$ZodLooseShape>(meaning: string, shape: T) {
  const known = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `has the unknown fields ${issue.keys.join(', ')}; known: ${known}`
        : mustBe(meaning)(issue),
  });
}

/** What is wrong with settings that are right one by one: the field, and why. */
export interface PolicyFault {
  readonly field: string;
  readonly message: string;
}

/** A check for `superRefine` that reports the faults it finds. */
export function reportFaults<T>(faultsOf: (policy: T) => readonly PolicyFault[]) {
  return (policy: T, context: z.core.$RefinementCtx<T>): void => {
    for (const { field, message } of faultsOf(policy)) context.addIssue({ code: 'custom', path: [field], message });
  };
}

/** A lease lives in L1 and so does what its waiters wait for. */
export function leaseFaults(policy: {
  readonly tiers?: readonly string[] | undefined;
  readonly oncePerRegion?: boolean | undefined;
}): PolicyFault[] {
  if (!policy.oncePerRegion || !policy.tiers || policy.tiers.includes('l1')) return [];
  return [{ field: 'oncePerRegion', message: `true needs the tier l1, but tiers is ${shown(policy.tiers)}` }];
}

const PATH = /^[/*][\x21\x22\x24-\x7e]{0,1023}$/;

/** How the responses of one route of the HTTP origin are cached, beyond what the origin itself says (RFC 9111). */
const RouteSettings = settings('an object such as {"path": "/api/*", "defaultTtlSeconds": 60}', {
  /**
   * Glob over the path without its query: `*` is any run of characters, `/` among them, `?` exactly one. The first
   * policy that matches applies.
   */
  path: z
    .string({ error: mustBe('a glob over the path that starts with / or *, such as /api/*') })
    .regex(PATH, { error: mustBe('a glob over the path that starts with / or *, printable ASCII, no #') }),
  /** Freshness given to responses that state none, seconds. Absent: none but RFC 9111's heuristic. */
  defaultTtlSeconds: Seconds.exactOptional(),
  /** Upper bound on any freshness, seconds. */
  maxTtlSeconds: Seconds.exactOptional(),
  /**
   * Freshness of 404, 405, 410, 414 and 501 that state none, and of 502 and 504 given because the origin could not be
   * reached; seconds. 0 or absent: none.
   */
  negativeTtlSeconds: Seconds.exactOptional(),
  /** RFC 5861 window of responses that state none, seconds. */
  staleWhileRevalidateSeconds: Seconds.exactOptional(),
  /** RFC 5861 window of responses that state none, seconds. */
  staleIfErrorSeconds: Seconds.exactOptional(),
  ttlJitter: TtlJitter.exactOptional(),
  /** Tags beside those that the origin gives. */
  tags: CacheTags.exactOptional(),
  /** All of them when absent. */
  tiers: Tiers.exactOptional(),
  /** Larger responses are passed on and not stored. */
  maxBytes: MaxBytes.exactOptional(),
  oncePerRegion: OncePerRegion.exactOptional(),
  /** False: never cached, whatever the origin says. */
  cache: z.boolean({ error: mustBe('true or false') }).exactOptional(),
});

function routeFaults(policy: z.output<typeof RouteSettings>): PolicyFault[] {
  const faults = leaseFaults(policy);
  const { maxTtlSeconds: max } = policy;
  for (const field of ['defaultTtlSeconds', 'negativeTtlSeconds'] as const) {
    const value = policy[field];
    if (max === undefined || value === undefined || value <= max) continue;
    faults.push({ field, message: `${value} must be at most maxTtlSeconds (${max})` });
  }
  return faults;
}

export const RoutePolicy = RouteSettings.superRefine(reportFaults(routeFaults));
/** How the responses of one route of the HTTP origin are cached, beyond what the origin itself says (RFC 9111). */
export type RoutePolicy = z.output<typeof RoutePolicy>;

/** Most policies that one environment may have. */
const MAX_POLICIES = 100;

/** The policies of an environment, in the order in which they are tried. */
export const RoutePolicies = z
  .array(RoutePolicy, { error: mustBe('an array of route policies') })
  .max(MAX_POLICIES, { error: `must have at most ${MAX_POLICIES} policies` });
export type RoutePolicies = z.output<typeof RoutePolicies>;

/**
 * Compiles policies: a function from a request's path (as in the request line, without the query) to the first policy
 * whose glob matches it. Spellings of a path that RFC 3986 (6.2.2) calls equivalent get the same policy, so that
 * `/%61pi/x` is no way around the policy of `/api/*`.
 */
export function routeMatcher(policies: readonly RoutePolicy[]): (path: string) => RoutePolicy | undefined {
  const compiled = policies.map((policy) => ({ policy, matches: globMatcher(canonicalPath(policy.path)) }));
  return (path) => {
    if (compiled.length === 0) return undefined;
    const canonical = canonicalPath(path);
    return compiled.find(({ matches }) => matches(canonical))?.policy;
  };
}

/** Escapes of unreserved characters decoded, other escapes with capital digits (RFC 3986, 6.2.2.1 and 6.2.2.2). */
export function canonicalPath(path: string): string {
  if (!path.includes('%')) return path;
  return path.replace(/%[0-9a-f]{2}/gi, (escaped) => {
    const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escaped.toUpperCase();
  });
}
