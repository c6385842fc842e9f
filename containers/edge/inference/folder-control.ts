import { compareVersions } from '../../../lib/core/model-name';
import type { Logger } from '../control/types';
import { messageOf } from '../errors';
import type { FolderSource } from './folder-source';
import { type IndexEntry, indexEntry, type LoadRequest, type ModelControl } from './model-control';
import type { ModelRepository } from './model-repository';
import type { ModelSettings } from './model-settings';
import { policyText, selectVersions, type VersionPolicy } from './version-policy';

/** What the control of a model folder works with. */
export interface FolderControlConfig {
  readonly source: FolderSource;
  readonly repository: ModelRepository;
  /** For models whose configuration states none. */
  readonly policy: VersionPolicy;
  readonly log: Logger;
}

/** Models loaded at once at the start: reading, checking and trying one leaves time that the others use. */
const LOADS_AT_ONCE = 4;

/** Why versions of a selection could not be loaded. */
type Failures = ReadonlyMap<string, string>;

/**
 * Serves the models of a folder: all of them at the start, then what is asked for. Of the versions that the policy
 * selects, the highest that passes is live, unless a request has named another; all of them stay in memory.
 */
export class FolderControl implements ModelControl {
  readonly #source: FolderSource;
  readonly #repository: ModelRepository;
  readonly #policy: VersionPolicy;
  readonly #log: Logger;
  /** What was asked for last of each model: its requests are carried out one after the other. */
  readonly #turns = new Map<string, Promise<void>>();
  /** Models of which a request has let go. */
  readonly #unloaded = new Set<string>();
  /** Configurations that cannot be read: why a model has not even been tried. */
  readonly #unreadable = new Map<string, string>();
  /** Models that were not loaded as they should be at the start. */
  readonly #notLoaded = new Map<string, string>();

  constructor(config: FolderControlConfig) {
    this.#source = config.source;
    this.#repository = config.repository;
    this.#policy = config.policy;
    this.#log = config.log;
  }

  /** Loads every model. What cannot be loaded is logged and in the index; only an unreadable folder makes it reject. */
  async start(): Promise<void> {
    const left = (await this.#source.list()).map(({ model }) => model);
    const loadNext = async (): Promise<void> => {
      for (let model = left.shift(); model !== undefined; model = left.shift()) await this.#loadAtStart(model);
    };
    await Promise.all(Array.from({ length: LOADS_AT_ONCE }, loadNext));
  }

  /** Why a model does not serve since the start. */
  whyNotServing(model: string): string {
    return this.#notLoaded.get(model) ?? 'it is not in the folder';
  }

  async index(): Promise<IndexEntry[]> {
    const report = this.#repository.report();
    const entries: IndexEntry[] = [];
    for (const { model, versions } of await this.#source.list()) {
      const held = report[model] ?? [];
      const idle =
        this.#unreadable.get(model) ?? (this.#unloaded.has(model) ? 'unloaded' : 'not selected by the version policy');
      const all = new Set([...versions, ...held.map(({ version }) => version)]);
      for (const version of [...all].sort(compareVersions)) {
        entries.push(
          indexEntry(
            model,
            version,
            held.find((each) => each.version === version),
            idle,
          ),
        );
      }
    }
    return entries;
  }

  load(model: string, request: LoadRequest): Promise<void> {
    return this.#inTurn(model, () => this.#load(model, request));
  }

  unload(model: string, version: string | undefined): Promise<void> {
    return this.#inTurn(model, async () => {
      if (!(await this.#source.list()).some((each) => each.model === model)) throw new Error('there is no such model');
      this.#repository.unload(model, version);
      if (version === undefined) this.#unloaded.add(model);
    });
  }

  async #loadAtStart(model: string): Promise<void> {
    try {
      await this.load(model, { version: undefined, settings: undefined });
    } catch (error) {
      this.#notLoaded.set(model, messageOf(error));
      this.#log.error({ model, reason: messageOf(error) }, 'model not loaded as it should be');
    }
  }

  async #load(model: string, { version, settings }: LoadRequest): Promise<void> {
    const selected = await this.#select(model, version, settings);
    const wanted = version === undefined ? selected.versions : [version];
    const failures = await this.#refresh(model, wanted, selected.maxBatchSize);
    const live = wanted.filter((each) => !failures.has(each)).at(-1);
    if (live !== undefined && this.#mayTakeOver(model, live, failures)) {
      this.#repository.activate(model, live, selected.versions);
    }
    if (failures.size === 0) return;
    throw new Error([...failures].map(([failed, reason]) => `version ${failed}: ${reason}`).join('; '));
  }

  async #select(
    model: string,
    version: string | undefined,
    settings: ModelSettings | undefined,
  ): Promise<{ versions: string[]; maxBatchSize: number | undefined }> {
    const listed = (await this.#source.list()).find((each) => each.model === model);
    if (listed === undefined) throw new Error('there is no such model in the folder');
    const { versionPolicy = this.#policy, maxBatchSize } = settings ?? (await this.#settingsOf(model));
    const versions = selectVersions(versionPolicy, listed.versions);
    if (versions.length === 0 || (version !== undefined && !versions.includes(version))) {
      const there = listed.versions.join(', ');
      throw new Error(
        `${version ?? 'no version'} is not among the versions ${there} by policy ${policyText(versionPolicy)}`,
      );
    }
    return { versions, maxBatchSize };
  }

  async #settingsOf(model: string): Promise<ModelSettings> {
    try {
      const settings = await this.#source.settingsOf(model);
      this.#unreadable.delete(model);
      return settings;
    } catch (error) {
      this.#unreadable.set(model, messageOf(error));
      throw error;
    }
  }

  /** One after the other: each is measured, and would be slower beside another. */
  async #refresh(model: string, versions: readonly string[], maxBatchSize: number | undefined): Promise<Failures> {
    const failures = new Map<string, string>();
    for (const version of versions) {
      await this.#repository.refresh(model, version, maxBatchSize).catch((error: unknown) => {
        failures.set(version, messageOf(error));
      });
    }
    this.#unloaded.delete(model);
    return failures;
  }

  /** A version takes the place of the live one only if nothing above it failed, or nothing serves. */
  #mayTakeOver(model: string, version: string, failures: Failures): boolean {
    if (this.#repository.live(model) === undefined) return true;
    return [...failures.keys()].every((failed) => compareVersions(failed, version) < 0);
  }

  #inTurn(model: string, work: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(model) ?? Promise.resolve();
    const done = before.then(work, work);
    this.#turns.set(model, done);
    const forget = () => {
      if (this.#turns.get(model) === done) this.#turns.delete(model);
    };
    done.then(forget, forget);
    return done;
  }
}
