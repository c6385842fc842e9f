import { setTimeout as sleep } from 'node:timers/promises';
import { compareVersions } from '../../../lib/core/model-name';
import type { TaskReport } from '../../../lib/core/task-report';
import type { Logger } from '../control/types';
import { messageOf } from '../errors';
import { InlineHost } from './execution/inline-host';
import { LoadedModel } from './loaded-model';
import type { ModelSource } from './model-source';
import {
  type ModelState,
  type ModelTraits,
  type ReadyVersion,
  type RefusedVersion,
  replacedBy,
  reportOf,
  traitsOf,
} from './model-state';
import { checkReplacement, type ModelHost, type PreparedModel, prepareModel } from './prepare-model';
import { RefusedModel, SignatureChanged } from './refused-model';

const RETRY_DELAYS_MS: readonly number[] = [250, 1_000, 4_000];

/** What a repository works with. */
export interface ModelRepositoryConfig {
  readonly source: ModelSource;
  /** Where models run. Absent: all of them on this thread. */
  readonly host?: ModelHost;
  readonly log: Logger;
  /** Called after the state of any version has changed. */
  readonly onChange?: () => void;
  /** Pauses between attempts to fetch a version that could not be fetched, ms. */
  readonly retryDelaysMs?: readonly number[];
}

/**
 * The model versions this process holds. A version is prepared (fetched, verified, loaded, tried) beside the one that
 * serves; activating it is a change of one pointer, and versions no longer kept are freed when their last request is
 * answered.
 */
export class ModelRepository {
  readonly #source: ModelSource;
  readonly #host: ModelHost;
  readonly #log: Logger;
  readonly #onChange: () => void;
  readonly #retryDelaysMs: readonly number[];
  readonly #models = new Map<string, ModelState>();
  readonly #closing = new AbortController();
  #generation = 0;
  #names: readonly string[] = [];

  constructor(config: ModelRepositoryConfig) {
    const thread = new InlineHost();
    this.#source = config.source;
    this.#host = config.host ?? { open: (file) => thread.open(file), inline: thread };
    this.#log = config.log;
    this.#onChange = config.onChange ?? (() => undefined);
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
    if (known?.kind === 'refused' && this.#stillRefused(known, name)) throw new RefusedModel(known.reason);
    const done = this.#prepareOnce(state, name, version);
    state.versions.set(version, { kind: 'preparing', done });
    this.#onChange();
    return done;
  }

  /**
   * As `prepare`, for a version whose files or configuration may have changed: it is prepared anew if they have, beside
   * the one in memory, which goes on serving and stays when the new one is refused.
   */
  async refresh(name: string, version: string, maxBatchSize: number | undefined): Promise<LoadedModel> {
    const state = this.#stateOf(name);
    const held = state.versions.get(version);
    if (held?.kind === 'preparing') await held.done.catch(() => undefined);
    if (held?.kind === 'refused') state.versions.delete(version);
    const before = state.versions.get(version);
    state.maxBatchSize = maxBatchSize;
    if (before?.kind !== 'ready') return this.prepare(name, version);
    const isSame = before.maxBatchSize === maxBatchSize;
    if (isSame && before.origin === (await this.#source.fingerprint?.(name, version))) return before.model;
    const ready = await this.#makeReady(state, name, version);
    state.versions.set(version, ready);
    before.model.retire();
    this.#changed();
    return ready.model;
  }

  /**
   * Makes a ready version the one that serves, and lets go of every other version that is not in `keep` (versions
   * being prepared stay). Throws when the version is not ready, or may not replace the one that serves.
   */
  activate(name: string, version: string, keep: readonly string[]): void {
    const state = this.#stateOf(name);
    const next = state.versions.get(version);
    if (next?.kind !== 'ready') {
      throw new Error(`version ${version} of model ${name} cannot be activated before it is ready`);
    }
    const before = state.active;
    if (before !== version) checkReplacement(replacedBy(state), next.model, next.signatureChange);
    state.active = version;
    for (const [other, held] of state.versions) {
      if (other === version || keep.includes(other) || held.kind === 'preparing') continue;
      state.versions.delete(other);
      if (held.kind === 'ready') held.model.retire();
    }
    this.#log.info({ model: name, version, before }, 'model version activated');
    this.#changed();
  }

  /** Lets go of one version that does not serve, or of the whole model. */
  unload(name: string, version?: string): void {
    const state = this.#models.get(name);
    if (state === undefined) return;
    if (version !== undefined && version === state.active) {
      throw new Error(`version ${version} of model ${name} cannot be unloaded while it serves`);
    }
    for (const [each, held] of state.versions) {
      if (version !== undefined && each !== version) continue;
      state.versions.delete(each);
      if (held.kind === 'ready') held.model.retire();
    }
    if (version === undefined || state.versions.size === 0) this.#models.delete(name);
    this.#log.info({ model: name, version }, 'model unloaded');
    this.#changed();
  }

  /** Changes whenever the same name and version may mean another model than before, or none. */
  generation(): number {
    return this.#generation;
  }

  /** Names of the models of which a version serves, in order; the same array until that changes. */
  names(): readonly string[] {
    return this.#names;
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

  /** How a version in memory is run. */
  traits(name: string, version: string): ModelTraits | undefined {
    const held = this.#models.get(name)?.versions.get(version);
    return held?.kind === 'ready' ? held.traits : undefined;
  }

  /** Versions in memory, lowest first. */
  residentVersions(name: string): string[] {
    const versions = [...(this.#models.get(name)?.versions ?? [])];
    return versions
      .filter(([, held]) => held.kind === 'ready')
      .map(([version]) => version)
      .sort(compareVersions);
  }

  /** Every version in memory of the models that serve, by name and version. */
  residentModels(): LoadedModel[] {
    return this.#names.flatMap((name) =>
      this.residentVersions(name).flatMap((version) => this.resident(name, version) ?? []),
    );
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
    this.#names = [];
    this.#generation += 1;
  }

  async #prepareOnce(state: ModelState, name: string, version: string): Promise<LoadedModel> {
    try {
      const ready = await this.#makeReady(state, name, version);
      state.versions.set(version, ready);
      this.#changed();
      return ready.model;
    } catch (error) {
      const reason = messageOf(error);
      const against = error instanceof SignatureChanged ? this.live(name) : undefined;
      const permanent = error instanceof RefusedModel && against === undefined;
      state.versions.set(version, { kind: 'refused', reason, permanent, against });
      this.#log.error({ model: name, version, reason }, 'model version refused');
      this.#onChange();
      throw error;
    }
  }

  async #makeReady(state: ModelState, name: string, version: string): Promise<ReadyVersion> {
    const { maxBatchSize } = state;
    const origin = await this.#source.fingerprint?.(name, version);
    const prepared = await this.#prepareWithRetries(state, name, version);
    const model = new LoadedModel(prepared);
    if (this.#models.get(name) !== state || this.#closing.signal.aborted) {
      model.retire();
      throw new Error(`model ${name} was unloaded while version ${version} was prepared`);
    }
    this.#log.info({ model: name, version, sha256: model.sha256 }, 'model version ready');
    const { signatureChange } = prepared;
    return { kind: 'ready', model, traits: traitsOf(prepared), signatureChange, origin, maxBatchSize };
  }

  #stillRefused(refused: RefusedVersion, name: string): boolean {
    return refused.permanent || (refused.against !== undefined && refused.against === this.live(name));
  }

  /** The same name and version may mean another model from here on. */
  #changed(): void {
    this.#generation += 1;
    this.#names = [...this.#models]
      .filter(([, state]) => state.active !== undefined)
      .map(([name]) => name)
      .sort(compareVersions);
    this.#onChange();
  }

  async #prepareWithRetries(state: ModelState, name: string, version: string): Promise<PreparedModel> {
    const attempt = () =>
      prepareModel(this.#source, this.#host, {
        model: name,
        version,
        replaces: replacedBy(state),
        maxBatchSize: state.maxBatchSize,
      });
    for (const delay of this.#retryDelaysMs) {
      try {
        return await attempt();
      } catch (error) {
        if (error instanceof RefusedModel) throw error;
        this.#log.warn(
          { model: name, version, reason: messageOf(error), delay },
          'model version not fetched, retrying',
        );
        await sleep(delay, undefined, { signal: this.#closing.signal });
      }
    }
    return attempt();
  }

  #stateOf(name: string): ModelState {
    const known = this.#models.get(name);
    if (known !== undefined) return known;
    const state: ModelState = { versions: new Map(), active: undefined, maxBatchSize: undefined };
    this.#models.set(name, state);
    return state;
  }
}
