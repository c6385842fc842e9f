import { z } from 'zod';
import type { VersionRecord } from './version-record';

const statusSchema = z.enum(['Enabled', 'Disabled']);

/** Strict everywhere: a property that is not known here would change what is replicated. */
const ruleSchema = z.strictObject({
  Id: z.string().optional(),
  Status: statusSchema,
  Priority: z.number().int().nonnegative().optional(),
  /** Filter of the older schema, in place of `Filter`. */
  Prefix: z.string().optional(),
  Filter: z
    .strictObject({ Prefix: z.string().optional(), And: z.strictObject({ Prefix: z.string().optional() }).optional() })
    .optional(),
  DeleteMarkerReplication: z.strictObject({ Status: statusSchema }).optional(),
  Destination: z.strictObject({
    Bucket: z.string().regex(/^arn:aws:s3:::[a-z0-9.-]+$/, 'must be the ARN of a bucket'),
    StorageClass: z.literal('STANDARD').optional(),
    Metrics: z.looseObject({}).optional(),
    ReplicationTime: z.looseObject({}).optional(),
  }),
});

/** `ReplicationConfiguration` of a bucket as CloudFormation writes it. */
export const replicationConfigurationSchema = z.strictObject({
  Role: z.string().min(1),
  Rules: z.array(ruleSchema).min(1).max(1000),
});
type ReplicationConfiguration = z.infer<typeof replicationConfigurationSchema>;

/** One enabled rule. */
export interface ReplicationRule {
  readonly prefix: string;
  readonly priority: number;
  readonly destinationBucket: string;
  readonly replicatesDeleteMarkers: boolean;
}

/** Enabled rules, the highest priority first. */
export function replicationRules(configuration: ReplicationConfiguration): ReplicationRule[] {
  return configuration.Rules.filter((rule) => rule.Status === 'Enabled')
    .map((rule) => ({
      prefix: rule.Filter?.And?.Prefix ?? rule.Filter?.Prefix ?? rule.Prefix ?? '',
      priority: rule.Priority ?? 0,
      destinationBucket: rule.Destination.Bucket.replace(/^arn:aws:s3:::/, ''),
      // The older schema, which has no Filter, always replicates delete markers.
      replicatesDeleteMarkers: rule.Filter === undefined || rule.DeleteMarkerReplication?.Status === 'Enabled',
    }))
    .sort((a, b) => b.priority - a.priority);
}

/** Buckets that a version goes to: per destination the matching rule of the highest priority decides. */
export function destinationsOf(rules: readonly ReplicationRule[], record: VersionRecord): string[] {
  const deciding = new Map<string, ReplicationRule>();
  for (const rule of rules) {
    if (record.key.startsWith(rule.prefix) && !deciding.has(rule.destinationBucket)) {
      deciding.set(rule.destinationBucket, rule);
    }
  }
  return [...deciding.values()]
    .filter((rule) => !record.deleteMarker || rule.replicatesDeleteMarkers)
    .map((rule) => rule.destinationBucket);
}
