import type { TaskModelVersion } from '../../../lib/core/task-report';
import { QUEUE_LIMITS } from './execution/queue-limits';
import type { LoadedModel } from './loaded-model';
import type { PreparedModel, ReplacedVersion } from './prepare-model';

/** How a version is run. */
export interface ModelTraits {
  /** Most rows of different requests that are run together; 0 where none are. */
  readonly maxBatchSize: number;
  /** Whether it runs on the service's own thread instead of in worker processes. */
  readonly isInline: boolean;
  /** Runs that are under way at once at most. */
  readonly instances: number;
}

/** How far a version has come in this process. */
export type VersionState =
  | { readonly kind: 'preparing'; readonly done: Promise<LoadedModel> }
  | ReadyVersion
  | RefusedVersion;

/** A version in memory. */
export interface ReadyVersion {
  readonly kind: 'ready';
  readonly model: LoadedModel;
  readonly traits: ModelTraits;
  readonly signatureChange: boolean;
  /** What it was prepared from, and the batch size that was wanted, where these may change. */
  readonly origin: string | undefined;
  readonly maxBatchSize: number | undefined;
}

/** A version that must not serve, or could not be fetched. */
export interface RefusedVersion {
  readonly kind: 'refused';
  readonly reason: string;
  readonly permanent: boolean;
  /** The live model whose signature stood against it. */
  readonly against: LoadedModel | undefined;
}

/** The versions of one model in this process. */
export interface ModelState {
  readonly versions: Map<string, VersionState>;
  active: string | undefined;
  /** Most rows of one run, where a configuration says so; 0: rows are never run together. */
  maxBatchSize: number | undefined;
}

/** How a prepared version will be run. */
export function traitsOf({ batchable, limits, isInline, session }: PreparedModel): ModelTraits {
  const maxBatchSize = batchable ? (limits.maxBatchRows ?? QUEUE_LIMITS.maxBatchRows) : 0;
  return { maxBatchSize, isInline, instances: session.slots };
}

/** What a version that is to serve from now on would replace. */
export function replacedBy({ active, versions }: ModelState): ReplacedVersion | undefined {
  const live = active === undefined ? undefined : versions.get(active);
  if (live?.kind !== 'ready') return undefined;
  const { model, signatureChange } = live;
  return { version: model.version, inputs: model.inputs, outputs: model.outputs, signatureChange };
}

/** A version as the task reports it. */
export function reportOf(version: string, held: VersionState, active: boolean): TaskModelVersion {
  if (held.kind === 'refused') return { version, state: 'refused', reason: held.reason };
  if (held.kind === 'preparing') return { version, state: 'preparing' };
  return { version, state: active ? 'active' : 'ready' };
}
