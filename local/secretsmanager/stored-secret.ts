import { ServiceError } from '../aws-front/service-error';

/** How long a replica lags behind its secret, ms. AWS says "usually seconds"; short here, but never at once. */
export const REPLICATION_MS = 200;

/** A version of a secret; without a value where a rotation has only reserved it. */
export interface SecretVersion {
  readonly value: string | undefined;
  readonly stages: ReadonlySet<string>;
}

/** Runs something after a time, ms, unless it is cancelled by what is returned. */
export type After = (ms: number, run: () => void) => () => void;

export const realTime: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

type Versions = ReadonlyMap<string, SecretVersion>;

export interface SecretIdentity {
  readonly name: string;
  readonly account: string;
  /** Six characters that Secrets Manager puts behind the name in the ARN. */
  readonly suffix: string;
  readonly primaryRegion: string;
  readonly replicaRegions: readonly string[];
}

/**
 * A secret with its versions and their staging labels, and what its replicas see of them.
 * Source: Secrets Manager user guide, "What's in a Secrets Manager secret?", and the API reference of each action.
 */
export class StoredSecret {
  private versions: Versions;
  private replicated: Versions;
  private readonly cancellations = new Set<() => void>();

  constructor(
    readonly identity: SecretIdentity,
    versionId: string,
    value: string,
    private readonly after: After,
  ) {
    this.versions = new Map([[versionId, { value, stages: new Set(['AWSCURRENT']) }]]);
    this.replicated = this.versions;
  }

  get regions(): string[] {
    return [this.identity.primaryRegion, ...this.identity.replicaRegions];
  }

  arn(region: string): string {
    const { account, name, suffix } = this.identity;
    return `arn:aws:secretsmanager:${region}:${account}:secret:${name}-${suffix}`;
  }

  /** Versions as a region sees them. */
  in(region: string): Versions {
    return region === this.identity.primaryRegion ? this.versions : this.replicated;
  }

  /** The version that carries a label in a region. */
  labelled(stage: string, region = this.identity.primaryRegion): [id: string, version: SecretVersion] | undefined {
    return [...this.in(region)].find(([, { stages }]) => stages.has(stage));
  }

  /**
   * Adds a version, or gives a reserved one its value.
   * @throws ServiceError when a version of this id has another value
   */
  put(id: string, value: string, stages: readonly string[]): void {
    const known = this.versions.get(id);
    if (known?.value !== undefined && known.value !== value) {
      throw new ServiceError(
        'ResourceExistsException',
        `the version ${id} of ${this.identity.name} exists already with another value; values of versions do not change`,
      );
    }
    if (known?.value === value) return;
    const next = new Map(this.versions);
    next.set(id, { value, stages: known?.stages ?? new Set() });
    this.replaceVersions(next);
    for (const stage of stages) this.move(stage, id);
  }

  /** Reserves a version for a rotation, as RotateSecret does before its function is called. */
  reserve(id: string): void {
    if (!this.versions.has(id)) {
      this.replaceVersions(new Map(this.versions).set(id, { value: undefined, stages: new Set() }));
    }
    this.move('AWSPENDING', id);
  }

  /** Attaches a label to one version alone, or to none; the version that was current becomes AWSPREVIOUS. */
  move(stage: string, to: string | undefined): void {
    const from = this.labelled(stage)?.[0];
    if (from === to) return;
    if (to !== undefined && !this.versions.has(to)) {
      throw new ServiceError('ResourceNotFoundException', `${this.identity.name} has no version ${to}`);
    }
    const labels = new Map([...this.versions].map(([id, { stages }]) => [id, new Set(stages)]));
    const attach = (label: string, id: string | undefined) => {
      for (const set of labels.values()) set.delete(label);
      if (id !== undefined) labels.get(id)?.add(label);
    };
    attach(stage, to);
    if (stage === 'AWSCURRENT') attach('AWSPREVIOUS', from);
    const kept = [...this.versions].map(([id, { value }]): [string, SecretVersion] => [
      id,
      { value, stages: labels.get(id) ?? new Set() },
    ]);
    // A version without a label is deprecated and may be deleted at any time.
    this.replaceVersions(new Map(kept.filter(([, { stages }]) => stages.size > 0)));
  }

  close(): void {
    for (const cancel of this.cancellations) cancel();
  }

  private replaceVersions(versions: Versions): void {
    this.versions = versions;
    const cancel = this.after(REPLICATION_MS, () => {
      this.cancellations.delete(cancel);
      this.replicated = versions;
    });
    this.cancellations.add(cancel);
  }
}
