import type { TaskModelVersion } from '../../../lib/core/task-report';
import type { ModelSettings } from './model-settings';

/** A version in the index of the model repository extension; `reason` says why it does not serve. */
export interface IndexEntry {
  readonly name: string;
  readonly version: string;
  readonly state: 'READY' | 'LOADING' | 'UNAVAILABLE';
  readonly reason: string;
}

/** What a load request asks for. */
export interface LoadRequest {
  /** The version that is to serve; absent: the one that the version policy puts first. */
  readonly version: string | undefined;
  /** Model configuration that takes the place of the one beside the model. */
  readonly settings: ModelSettings | undefined;
}

/**
 * Looking at models, and loading and unloading them on request, as far as the place that they come from lets a request
 * decide. https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md
 */
export interface ModelControl {
  /** Every version that could serve, by name and version. */
  index(): Promise<IndexEntry[]>;
  /** Resolves when the model serves as asked. Rejects with an Error that says why it does not; what served goes on. */
  load(model: string, request: LoadRequest): Promise<void>;
  /** Lets go of a model, or of one version; requests under way are answered. Rejects when that may not be. */
  unload(model: string, version: string | undefined): Promise<void>;
}

/** The index entry of a version, from what the repository says of it; `idle` is the reason why it holds no such version. */
export function indexEntry(
  name: string,
  version: string,
  held: TaskModelVersion | undefined,
  idle: string,
): IndexEntry {
  if (held === undefined) return { name, version, state: 'UNAVAILABLE', reason: idle };
  if (held.state === 'refused') return { name, version, state: 'UNAVAILABLE', reason: held.reason ?? '' };
  return { name, version, state: held.state === 'preparing' ? 'LOADING' : 'READY', reason: '' };
}
