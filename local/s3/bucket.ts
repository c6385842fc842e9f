import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Clock } from './clock';
import { conditionalRequestConflict, noSuchKey, noSuchVersion } from './errors';
import { KeyLock } from './key-lock';
import { checkWriteCondition, type WriteCondition } from './preconditions';
import { type Staging, VersionFiles } from './version-files';
import { NULL_VERSION, type ObjectContent, type ReplicationStatus, type VersionRecord } from './version-record';

/** `Disabled` is a bucket whose versioning was never configured. */
export type Versioning = 'Enabled' | 'Suspended' | 'Disabled';

export interface BucketOptions {
  readonly name: string;
  readonly region: string;
  readonly versioning: Versioning;
  /** Folder of this bucket alone. */
  readonly directory: string;
  readonly clock: Clock;
  /** Status that a version written here starts with, by its key: PENDING where a replication rule matches. */
  readonly initialReplicationStatus: (record: VersionRecord) => ReplicationStatus | undefined;
  /** Told of every version written here, delete markers included; not of replicas. */
  readonly onWritten: (record: VersionRecord) => void;
}

/** Leave to write a key, given when its condition held; `put` checks it again when the body is there. */
export interface WritePermit {
  readonly key: string;
  readonly condition: WriteCondition;
  readonly deletionsSeen: number;
}

/** What a DELETE did. */
export interface Deletion {
  /** Version that was made (a delete marker) or removed. */
  readonly versionId: string | undefined;
  readonly isDeleteMarker: boolean;
}

/** One bucket: which versions of which keys there are, and how writes change that. Metadata is kept in memory. */
export class Bucket {
  readonly name: string;
  readonly region: string;
  readonly versioning: Versioning;
  /** Newest first; never empty. */
  private readonly versions = new Map<string, VersionRecord[]>();
  private readonly deletions = new Map<string, number>();
  private readonly lock = new KeyLock();
  private sortedKeys: string[] | undefined;
  private lastSequence = 0;

  private constructor(
    private readonly options: BucketOptions,
    readonly files: VersionFiles,
  ) {
    this.name = options.name;
    this.region = options.region;
    this.versioning = options.versioning;
  }

  /** Opens a bucket over its folder, with everything that was committed to it before. */
  static async open(options: BucketOptions): Promise<Bucket> {
    const bucket = new Bucket(options, await VersionFiles.open(options.directory));
    const records = await bucket.files.load();
    for (const record of records.sort((a, b) => a.sequence - b.sequence)) {
      bucket.lastSequence = record.sequence;
      // A crash between a commit and the removal of what it replaced leaves both.
      const replaced = bucket.index(record);
      if (replaced !== undefined) await bucket.files.remove(replaced);
    }
    return bucket;
  }

  get arn(): string {
    return bucketArn(this.name);
  }

  /** Keys with at least one version, in the order of their UTF-8 bytes, as S3 lists them. */
  keys(): readonly string[] {
    this.sortedKeys ??= [...this.versions.keys()]
      .map((key) => ({ key, bytes: Buffer.from(key) }))
      .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
      .map(({ key }) => key);
    return this.sortedKeys;
  }

  /** All versions of a key, newest first. */
  versionsOf(key: string): readonly VersionRecord[] {
    return this.versions.get(key) ?? [];
  }

  /** The object as a plain GET sees it: `undefined` also behind a delete marker. */
  current(key: string): VersionRecord | undefined {
    const newest = this.versionsOf(key)[0];
    return newest?.deleteMarker ? undefined : newest;
  }

  findVersion(key: string, versionId: string): VersionRecord | undefined {
    return this.versionsOf(key).find((record) => record.versionId === versionId);
  }

  /**
   * The version that a read names, or the current one; may be a delete marker when named.
   * @throws S3Error NoSuchKey, NoSuchVersion
   */
  lookUp(key: string, versionId: string | undefined): VersionRecord {
    if (versionId !== undefined) {
      const named = this.findVersion(key, versionId);
      if (named === undefined) throw noSuchVersion(key, versionId);
      return named;
    }
    const newest = this.versionsOf(key)[0];
    if (newest === undefined) throw noSuchKey(key);
    if (newest.deleteMarker) {
      throw noSuchKey(key, { 'x-amz-delete-marker': 'true', 'x-amz-version-id': newest.versionId });
    }
    return newest;
  }

  /** Opens the body of what `lookUp` finds; when a writer replaces it at that moment, the successor's. */
  async openBody(
    key: string,
    versionId: string | undefined,
  ): Promise<{ readonly record: VersionRecord; readonly file: FileHandle }> {
    for (;;) {
      const record = this.lookUp(key, versionId);
      try {
        return { record, file: await this.files.openBody(record) };
      } catch (error) {
        if (this.versionsOf(key).includes(record)) throw error;
      }
    }
  }

  /** Checks a write's condition before its body is read. */
  permitWrite(key: string, condition: WriteCondition): WritePermit {
    checkWriteCondition(condition, key, this.current(key));
    return { key, condition, deletionsSeen: this.deletions.get(key) ?? 0 };
  }

  /**
   * Commits a staged body as the key's newest version.
   * @throws S3Error PreconditionFailed when another write came first, ConditionalRequestConflict when a delete did
   */
  async put(permit: WritePermit, staging: Staging, content: ObjectContent): Promise<VersionRecord> {
    return this.lock.run(permit.key, async () => {
      if (permit.condition !== undefined && (this.deletions.get(permit.key) ?? 0) !== permit.deletionsSeen) {
        throw conditionalRequestConflict(permit.key);
      }
      checkWriteCondition(permit.condition, permit.key, this.current(permit.key));
      return this.write(staging, { ...this.newVersion(permit.key), ...content, deleteMarker: false });
    });
  }

  /** Deletes as S3 does: a named version for good; otherwise by a delete marker where the bucket is versioned. */
  async delete(key: string, versionId: string | undefined, condition?: WriteCondition): Promise<Deletion> {
    return this.lock.run(key, async () => {
      checkWriteCondition(condition, key, this.current(key));
      this.deletions.set(key, (this.deletions.get(key) ?? 0) + 1);
      if (versionId !== undefined) return this.removeVersion(key, versionId);
      if (this.versioning === 'Disabled') {
        await this.removeVersion(key, NULL_VERSION);
        return { versionId: undefined, isDeleteMarker: false };
      }
      const marker = await this.files.stage((staging) => this.write(staging, this.deleteMarker(key)));
      return { versionId: marker.versionId, isDeleteMarker: true };
    });
  }

  /** Takes over a version of another bucket, with its id and metadata. `staging` holds the body of an object. */
  async addReplica(source: VersionRecord, staging: Staging): Promise<void> {
    await this.lock.run(source.key, async () => {
      if (this.findVersion(source.key, source.versionId) !== undefined) return;
      const replica: VersionRecord = { ...source, sequence: ++this.lastSequence, replicationStatus: 'REPLICA' };
      await this.files.commit(staging, replica);
      this.index(replica);
    });
  }

  /** Notes how far the replication of a version has come; nothing happens when the version is gone. */
  async setReplicationStatus(key: string, versionId: string, replicationStatus: ReplicationStatus): Promise<void> {
    await this.lock.run(key, async () => {
      const record = this.findVersion(key, versionId);
      if (record === undefined) return;
      const updated = { ...record, replicationStatus };
      await this.files.update(updated);
      this.versions.set(
        key,
        this.versionsOf(key).map((other) => (other === record ? updated : other)),
      );
    });
  }

  private async write(staging: Staging, draft: VersionRecord): Promise<VersionRecord> {
    const replicationStatus = this.options.initialReplicationStatus(draft);
    const record: VersionRecord = replicationStatus === undefined ? draft : { ...draft, replicationStatus };
    await this.files.commit(staging, record);
    const replaced = this.index(record);
    if (replaced !== undefined) await this.files.remove(replaced);
    this.options.onWritten(record);
    return record;
  }

  private async removeVersion(key: string, versionId: string): Promise<Deletion> {
    const record = this.findVersion(key, versionId);
    if (record === undefined) return { versionId, isDeleteMarker: false };
    await this.files.remove(record);
    const left = this.versionsOf(key).filter((other) => other !== record);
    if (left.length > 0) {
      this.versions.set(key, left);
    } else {
      this.versions.delete(key);
      this.sortedKeys = undefined;
    }
    return { versionId, isDeleteMarker: record.deleteMarker };
  }

  /** Makes a record the newest of its key and returns the one with the same id that it replaces. */
  private index(record: VersionRecord): VersionRecord | undefined {
    const before = this.versions.get(record.key);
    if (before === undefined) this.sortedKeys = undefined;
    const replaced = before?.find((other) => other.versionId === record.versionId);
    this.versions.set(record.key, [record, ...(before ?? []).filter((other) => other !== replaced)]);
    return replaced;
  }

  private newVersion(key: string): Pick<VersionRecord, 'key' | 'versionId' | 'sequence' | 'lastModified'> {
    return {
      key,
      versionId: this.versioning === 'Enabled' ? randomBytes(24).toString('base64url') : NULL_VERSION,
      sequence: ++this.lastSequence,
      lastModified: this.options.clock.now().toISOString(),
    };
  }

  private deleteMarker(key: string): VersionRecord {
    return { ...this.newVersion(key), deleteMarker: true, size: 0, etag: '', systemHeaders: {}, userMetadata: {} };
  }
}

/** ARN of a bucket; buckets have neither region nor account in it. */
export function bucketArn(name: string): string {
  return `arn:aws:s3:::${name}`;
}
