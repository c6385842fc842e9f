import type { Bucket } from './bucket';
import type { BucketRegistry } from './bucket-registry';
import { DEFAULT_CHECKSUM_ALGORITHM } from './checksum';
import type { Clock } from './clock';
import { invalidRequest } from './errors';
import { destinationsOf, type ReplicationRule } from './replication-rules';
import { storeBytes } from './staged-body';
import type { VersionRecord } from './version-record';

/** Says what keeps S3 from an action of a replication as the bucket's role; `undefined` when nothing does. */
export type ReplicationRefusal = (action: string, resource: string) => string | undefined;

export interface ReplicationOptions {
  readonly buckets: BucketRegistry;
  readonly clock: Clock;
  /** Milliseconds between a write and its arrival at the destinations. */
  readonly delayMs: number;
  readonly log: (message: string) => void;
}

/**
 * Copies versions to other buckets by the source's rules, some time after they were written, in the order in which they
 * were written. What fails is FAILED for good, as in S3, and the log says why.
 */
export class Replication {
  private readonly rules = new Map<string, readonly ReplicationRule[]>();
  private readonly refusals = new Map<string, ReplicationRefusal>();
  /** Last task of each source bucket. */
  private readonly tails = new Map<string, Promise<void>>();
  private readonly cancels = new Set<() => void>();
  private pending = 0;
  private waiters: (() => void)[] = [];

  constructor(private readonly options: ReplicationOptions) {}

  /**
   * Sets a bucket's rules, under the conditions of S3's PutBucketReplication.
   * @throws S3Error InvalidRequest when source or destination is not there or not versioned
   */
  configure(source: Bucket, rules: readonly ReplicationRule[], refusal: ReplicationRefusal = () => undefined): void {
    if (source.versioning !== 'Enabled') {
      throw invalidRequest(
        `Versioning must be 'Enabled' on the bucket ${source.name} to apply a replication configuration.`,
      );
    }
    for (const rule of rules) this.findDestination(rule.destinationBucket);
    this.rules.set(source.name, rules);
    this.refusals.set(source.name, refusal);
  }

  /** Stops replicating from a bucket. */
  forget(sourceName: string): void {
    this.rules.delete(sourceName);
  }

  /** Whether some rule of the bucket replicates this version. */
  applies(sourceName: string, record: VersionRecord): boolean {
    return destinationsOf(this.rules.get(sourceName) ?? [], record).length > 0;
  }

  /** Replicates a version when its time has come. */
  enqueue(source: Bucket, record: VersionRecord): void {
    const destinations = destinationsOf(this.rules.get(source.name) ?? [], record);
    if (destinations.length === 0) return;
    this.pending += 1;
    const cancel = this.options.clock.schedule(this.options.delayMs, () => {
      this.cancels.delete(cancel);
      const turn = (this.tails.get(source.name) ?? Promise.resolve())
        .then(() => this.replicate(source, record, destinations))
        .catch((error: unknown) => this.options.log(`Replication of ${describe(source, record)} broke off: ${error}`))
        .finally(() => this.settle());
      this.tails.set(source.name, turn);
    });
    this.cancels.add(cancel);
  }

  /** Resolves once nothing waits for its replication. */
  idle(): Promise<void> {
    return this.pending === 0 ? Promise.resolve() : new Promise((resolve) => this.waiters.push(resolve));
  }

  /** Gives up what is not due yet and waits for what is under way. */
  async stop(): Promise<void> {
    for (const cancel of this.cancels) {
      cancel();
      this.settle();
    }
    this.cancels.clear();
    await Promise.all(this.tails.values());
  }

  private settle(): void {
    this.pending -= 1;
    if (this.pending > 0) return;
    const waiters = this.waiters;
    this.waiters = [];
    for (const resolve of waiters) resolve();
  }

  private async replicate(source: Bucket, record: VersionRecord, destinations: readonly string[]): Promise<void> {
    const arrived = await Promise.all(destinations.map((destination) => this.copy(source, record, destination)));
    const status = arrived.every(Boolean) ? 'COMPLETED' : 'FAILED';
    await source.setReplicationStatus(record.key, record.versionId, status);
  }

  private async copy(source: Bucket, record: VersionRecord, destinationName: string): Promise<boolean> {
    try {
      const destination = this.findDestination(destinationName);
      this.requireAccess(source, record, destination);
      if (source.findVersion(record.key, record.versionId) === undefined) return true;
      await destination.files.stage(async (staging) => {
        if (!record.deleteMarker) await this.copyBody(source, record, staging.bodyPath);
        await destination.addReplica(record, staging);
      });
      return true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.options.log(`Replication of ${describe(source, record)} to ${destinationName} failed: ${reason}`);
      return false;
    }
  }

  /** Source: S3 user guide, "Setting up permissions for live replication"; objects here have no tags. */
  private requireAccess(source: Bucket, record: VersionRecord, destination: Bucket): void {
    const object = `${source.arn}/${record.key}`;
    const needed = [
      ['s3:GetReplicationConfiguration', source.arn],
      ['s3:ListBucket', source.arn],
      ['s3:GetObjectVersionForReplication', object],
      ['s3:GetObjectVersionAcl', object],
      [record.deleteMarker ? 's3:ReplicateDelete' : 's3:ReplicateObject', `${destination.arn}/${record.key}`],
    ] as const;
    for (const [action, resource] of needed) {
      const sentence = this.refusals.get(source.name)?.(action, resource);
      if (sentence) throw new Error(sentence);
    }
  }

  private async copyBody(source: Bucket, record: VersionRecord, path: string): Promise<void> {
    const { file } = await source.openBody(record.key, record.versionId);
    try {
      const bytes = file.createReadStream({ autoClose: false });
      await storeBytes(bytes, path, record.checksum?.algorithm ?? DEFAULT_CHECKSUM_ALGORITHM);
    } finally {
      await file.close();
    }
  }

  private findDestination(name: string): Bucket {
    const destination = this.options.buckets.find(name);
    if (destination === undefined) throw invalidRequest(`Destination bucket must exist: there is no ${name}.`);
    if (destination.versioning !== 'Enabled') {
      throw invalidRequest(`Destination bucket must have versioning enabled: ${name} has not.`);
    }
    return destination;
  }
}

function describe(source: Bucket, record: VersionRecord): string {
  return `${source.name}/${record.key} (version ${record.versionId})`;
}
