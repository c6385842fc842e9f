import { setTimeout as sleep } from 'node:timers/promises';
import { compareVersions } from '../../../lib/core/model-name';
import type { TaskModelVersion, TaskReport } from '../../../lib/core/task-report';
import type { Logger } from '../control/types';
import { messageOf } from '../errors';
import type { LoadedModel } from './loaded-model';
import type { ModelSource } from './model-source';
import { prepareModel } from './prepare-model';
import { RefusedModel } from './refused-model';

const RETRY_DELAYS_MS: readonly number[] = [250, 1_000, 4_000];

/** What a repository works with. */
export interface ModelRepositoryConfig {
  readonly source: ModelSource;
  readonly log: Logger;
  /** Called after the state of any version has changed. */
  readonly onChange?: () => void;
  /** Pauses between attempts to fetch a version that could not be fetched, ms. */
  readonly retryDelaysMs?: readonly number[];
}

type VersionState =
  | { readonly kind: 'preparing'; readonly done: Promise<LoadedModel> }
  | { readonly kind: 'ready'; readonly model: LoadedModel }
  | { readonly kind: 'refused'; readonly reason: string; readonly permanent: boolean };

interface ModelState {
  readonly versions: Map<string, VersionState>;
  active: string | undefined;
}

/**
 * The model versions this process holds. A version is prepared (fetched, verified, loaded, tried) beside the one that
 * serves; activating it is a change of one pointer, and versions no longer kept are freed when their last request is
 * answered.
 */
export class ModelRepository {
  readonly #source: ModelSource;
  readonly #log: Logger;
  readonly #onChange: () => void;
  readonly #retryDelaysMs: readonly number[];
  readonly #models = new Map<string, ModelState>();
  readonly #closing = new AbortController();
  #generation = 0;

  constructor(config: ModelRepositoryConfig) {
    this.#source = config.source;
    this.#log = config.log;
    this.#onChange = () => {
      this.#generation += 1;
      config.onChange?.();
    };
    this.#retryDelaysMs = config.retryDelaysMs ?? RETRY_DELAYS_MS;
  }

  /**
   * Makes a version ready. Concurrent calls share one preparation; a ready version is given at once. Rejects with
   * `RefusedModel` when the version must not serve, at once when that is known already.
   */
  async prepare(name: string, version: string): Promise<LoadedModel> {
    const state = this.#stateOf(name);
    const known = state.versions.get(version);
    if (known?.kind === 'ready') return known.model;
    if (known?.kind === 'preparing') return known.done;
    if (known?.kind === 'refused' && known.permanent) throw new RefusedModel(known.reason);
    const done = this.#prepareOnce(state, name, version);
    state.versions.set(version, { kind: 'preparing', done });
    this.#onChange();
    return done;
  }

  /**
   * Makes a ready version the one that serves, and lets go of every other version that is not in `keep` (versions
   * being prepared stay). Throws when the version is not ready.
   */
  activate(name: string, version: string, keep: readonly string[]): void {
    const state = this.#stateOf(name);
    if (state.versions.get(version)?.kind !== 'ready') {
      throw new Error(`version ${version} of model ${name} cannot be activated before it is ready`);
    }
    const before = state.active;
    state.active = version;
    for (const [other, held] of state.versions) {
      if (other === version || keep.includes(other) || held.kind === 'preparing') continue;
      state.versions.delete(other);
      if (held.kind === 'ready') held.model.retire();
    }
    this.#log.info({ model: name, version, before }, 'model version activated');
    this.#onChange();
  }

  /** Changes whenever the same name and version may mean another model than before, or none. */
  generation(): number {
    return this.#generation;
  }

  /** Names of the models of which a version serves, in order. */
  names(): string[] {
    return [...this.#models]
      .filter(([, state]) => state.active !== undefined)
      .map(([name]) => name)
      .sort(compareVersions);
  }

  /** The version that serves now. */
  live(name: string): LoadedModel | undefined {
    const active = this.#models.get(name)?.active;
    return active === undefined ? undefined : this.resident(name, active);
  }

  /** A version that is in memory, whether it is the live one or not. */
  resident(name: string, version: string): LoadedModel | undefined {
    const held = this.#models.get(name)?.versions.get(version);
    return held?.kind === 'ready' ? held.model : undefined;
  }

  /** Versions in memory, lowest first. */
  residentVersions(name: string): string[] {
    const versions = [...(this.#models.get(name)?.versions ?? [])];
    return versions
      .filter(([, held]) => held.kind === 'ready')
      .map(([version]) => version)
      .sort(compareVersions);
  }

  /** Whether the first version of a model is still on its way. */
  isStarting(name: string): boolean {
    const state = this.#models.get(name);
    return (
      state !== undefined &&
      state.active === undefined &&
      [...state.versions.values()].some((held) => held.kind !== 'refused')
    );
  }

  /** State of every version, as the task reports it. */
  report(): TaskReport['models'] {
    return Object.fromEntries(
      [...this.#models].map(([name, state]) => [
        name,
        [...state.versions]
          .sort(([a], [b]) => compareVersions(a, b))
          .map(([version, held]) => reportOf(version, held, state.active === version)),
      ]),
    );
  }

  /** Lets go of every model. Preparations under way are abandoned. */
  close(): void {
    this.#closing.abort();
    for (const state of this.#models.values()) {
      for (const held of state.versions.values()) if (held.kind === 'ready') held.model.retire();
    }
    this.#models.clear();
    this.#generation += 1;
  }

  async #prepareOnce(state: ModelState, name: string, version: string): Promise<LoadedModel> {
    try {
      const model = await this.#prepareWithRetries(name, version);
      if (this.#closing.signal.aborted) {
        model.retire();
        throw new Error('the service is stopping');
      }
      state.versions.set(version, { kind: 'ready', model });
      this.#log.info({ model: name, version, sha256: model.sha256 }, 'model version ready');
      return model;
    } catch (error) {
      const reason = messageOf(error);
      state.versions.set(version, { kind: 'refused', reason, permanent: error instanceof RefusedModel });
      this.#log.error({ model: name, version, reason }, 'model version refused');
      throw error;
    } finally {
      this.#onChange();
    }
  }

  async #prepareWithRetries(name: string, version: string): Promise<LoadedModel> {
    for (const delay of this.#retryDelaysMs) {
      try {
        return await prepareModel(this.#source, name, version);
      } catch (error) {
        if (error instanceof RefusedModel) throw error;
        this.#log.warn(
          { model: name, version, reason: messageOf(error), delay },
          'model version not fetched, retrying',
        );
        await sleep(delay, undefined, { signal: this.#closing.signal });
      }
    }
    return prepareModel(this.#source, name, version);
  }

  #stateOf(name: string): ModelState {
    const known = this.#models.get(name);
    if (known !== undefined) return known;
    const state: ModelState = { versions: new Map(), active: undefined };
    this.#models.set(name, state);
    return state;
  }
}

function reportOf(version: string, held: VersionState, active: boolean): TaskModelVersion {
  if (held.kind === 'refused') return { version, state: 'refused', reason: held.reason };
  if (held.kind === 'preparing') return { version, state: 'preparing' };
  return { version, state: active ? 'active' : 'ready' };
}
