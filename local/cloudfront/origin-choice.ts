import { z } from 'zod';
import type { Behavior, Distribution, OriginGroup } from './distribution';
import { FAILOVER_STATUSES, type OriginConfig } from './distribution-schema';

/**
 * What a viewer-request function chose with the helper methods of the `cloudfront` module. Overrides of origins beyond
 * the listed ones are refused, which CloudFront shows as a failed function.
 */
export const OriginChoice = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('origin'), originId: z.string() }),
  z.strictObject({
    kind: z.literal('group'),
    originIds: z.array(z.strictObject({ originId: z.string() })).length(2, 'a request origin group has two origins'),
    selectionCriteria: z.literal('default').optional(),
    failoverCriteria: z.strictObject({
      statusCodes: z.array(z.number().refine((status) => FAILOVER_STATUSES.includes(status))).min(1),
    }),
  }),
  z.strictObject({
    kind: z.literal('update'),
    change: z.strictObject({
      domainName: z.string().min(1).optional(),
      originPath: z.string().optional(),
      customHeaders: z.record(z.string(), z.string()).optional(),
      connectionAttempts: z.number().int().min(1).max(3).optional(),
      timeouts: z
        .strictObject({
          connectionTimeout: z.number().int().min(1).max(10).optional(),
          readTimeout: z.number().int().min(1).max(180).optional(),
        })
        .optional(),
    }),
  }),
]);
export type OriginChoice = z.output<typeof OriginChoice>;

/**
 * The origins of one request: the behaviour's own unless the function chose.
 *
 * @throws when the function names an origin that the distribution has not, or changes an S3 origin into another.
 */
export function originsOf(
  distribution: Distribution,
  behavior: Behavior,
  choice: OriginChoice | undefined,
): OriginConfig | OriginGroup {
  switch (choice?.kind) {
    case undefined:
      return behavior.target;
    case 'origin':
      return knownOrigin(distribution, choice.originId);
    case 'group': {
      const [first, second] = choice.originIds.map(({ originId }) => knownOrigin(distribution, originId));
      if (!first || !second) throw new Error('a request origin group has two origins');
      return { origins: [first, second], statusCodes: choice.failoverCriteria.statusCodes };
    }
    case 'update':
      return updated(behavior.target, choice.change);
  }
}

function knownOrigin(distribution: Distribution, id: string): OriginConfig {
  const origin = distribution.origin(id);
  if (!origin) throw new Error(`the function names origin ${id}, which distribution ${distribution.id} does not have`);
  return origin;
}

type OriginChange = Extract<OriginChoice, { kind: 'update' }>['change'];

function updated(target: OriginConfig | OriginGroup, change: OriginChange): OriginConfig {
  const base = 'origins' in target ? target.origins[0] : target;
  if (!base.CustomOriginConfig) throw new Error(`updateRequestOrigin: origin ${base.Id} is not a custom origin`);
  const custom = base.CustomOriginConfig;
  return {
    ...base,
    DomainName: change.domainName ?? base.DomainName,
    OriginPath: change.originPath ?? base.OriginPath,
    ConnectionAttempts: change.connectionAttempts ?? base.ConnectionAttempts,
    ConnectionTimeout: change.timeouts?.connectionTimeout ?? base.ConnectionTimeout,
    OriginCustomHeaders: change.customHeaders
      ? Object.entries(change.customHeaders).map(([HeaderName, HeaderValue]) => ({ HeaderName, HeaderValue }))
      : base.OriginCustomHeaders,
    CustomOriginConfig: { ...custom, OriginReadTimeout: change.timeouts?.readTimeout ?? custom.OriginReadTimeout },
  };
}
