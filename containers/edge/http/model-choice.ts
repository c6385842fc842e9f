import { ServiceError } from '../errors';
import type { LoadedModel } from '../inference/loaded-model';
import type { ModelRepository } from '../inference/model-repository';

/** What a request says of the model it wants. */
export interface ModelWish {
  readonly model?: string | undefined;
  /** The client's own choice: exactly this version or an error. */
  readonly version?: string | undefined;
  /** The version that the POP's cache key names. */
  readonly liveVersion?: string | undefined;
}

/** A leased model and whether its version is the one that the request named. */
export interface ModelChoice {
  readonly model: LoadedModel;
  /**
   * True when the request's cache key names the version that answers. Only then may a shared cache keep the answer:
   * under any other key it would outlive the next activation.
   */
  readonly versionIsNamed: boolean;
  /** Ends the lease; to be called when the answer is ready. */
  readonly release: () => void;
}

/** Finds and leases the model for a request. Throws a ServiceError saying what is served when it is not here. */
export function chooseModel(
  repository: ModelRepository,
  defaultModel: string | undefined,
  wish: ModelWish,
): ModelChoice {
  const name = wish.model ?? defaultModel ?? onlyModel(repository);
  const model = findVersion(repository, name, wish);
  const named = wish.version ?? wish.liveVersion;
  return { model, versionIsNamed: model.version === named, release: model.lease() };
}

function findVersion(repository: ModelRepository, name: string, wish: ModelWish): LoadedModel {
  const live = repository.live(name);
  if (live === undefined) throw notServed(repository, name);
  if (wish.version !== undefined) {
    const pinned = repository.resident(name, wish.version);
    if (pinned !== undefined) return pinned;
    const served = repository.residentVersions(name).join(', ');
    throw new ServiceError('version_not_found', `model ${name} has no version ${wish.version} here; served: ${served}`);
  }
  // A POP may still name the version before the last move, or already the next one; both are usually in memory.
  return (wish.liveVersion !== undefined ? repository.resident(name, wish.liveVersion) : undefined) ?? live;
}

function onlyModel(repository: ModelRepository): string {
  const [name, ...others] = repository.names();
  if (name === undefined) throw new ServiceError('model_not_ready', 'no model is live here yet');
  if (others.length === 0) return name;
  throw new ServiceError('model_required', `model must be named: this service has ${repository.names().join(', ')}`);
}

function notServed(repository: ModelRepository, name: string): ServiceError {
  if (repository.isStarting(name)) return new ServiceError('model_not_ready', `model ${name} is being prepared`);
  const served = repository.names().join(', ') || 'none';
  return new ServiceError('model_not_found', `there is no model ${name} here; served: ${served}`);
}
