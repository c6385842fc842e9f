import { z } from 'zod';
import { CHECKSUM_ALGORITHMS } from './checksum';

/** Version id of what was written while versioning was off or suspended. */
export const NULL_VERSION = 'null';

const replicationStatusSchema = z.enum(['PENDING', 'COMPLETED', 'FAILED', 'REPLICA']);
export type ReplicationStatus = z.infer<typeof replicationStatusSchema>;

const storedChecksumSchema = z.object({
  algorithm: z.enum(CHECKSUM_ALGORITHMS),
  /** Base64; with `-<parts>` at the end when composite. */
  value: z.string(),
  type: z.enum(['FULL_OBJECT', 'COMPOSITE']),
});
export type StoredChecksum = z.infer<typeof storedChecksumSchema>;

/** `metadata.json` of one version of an object, or of a delete marker. */
export const versionRecordSchema = z.object({
  key: z.string(),
  versionId: z.string(),
  /** Grows with every commit to the bucket; orders the versions of a key whatever the clock does. */
  sequence: z.number().int().nonnegative(),
  /** ISO 8601 with milliseconds. */
  lastModified: z.string(),
  deleteMarker: z.boolean(),
  /** Bytes; 0 for a delete marker. */
  size: z.number().int().nonnegative(),
  /** Without quotes; empty for a delete marker. */
  etag: z.string(),
  checksum: storedChecksumSchema.optional(),
  /** Content-Type, Cache-Control and the like, names in lower case. */
  systemHeaders: z.record(z.string(), z.string()),
  /** Values of `x-amz-meta-*`, names without that prefix. */
  userMetadata: z.record(z.string(), z.string()),
  replicationStatus: replicationStatusSchema.optional(),
});
export type VersionRecord = Readonly<z.infer<typeof versionRecordSchema>>;

/** What a writer says of an object; the bucket adds version id, sequence and time. */
export type ObjectContent = Pick<VersionRecord, 'size' | 'etag' | 'systemHeaders' | 'userMetadata'> & {
  readonly checksum: StoredChecksum;
};

/** ETag as it stands in headers and XML. */
export function quotedEtag(record: Pick<VersionRecord, 'etag'>): string {
  return `"${record.etag}"`;
}
