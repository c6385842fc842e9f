import type { ChannelFollower } from '../control/channel-follower';
import { messageOf } from '../errors';
import type { BucketSource } from './bucket-source';
import { type IndexEntry, indexEntry, type LoadRequest, type ModelControl } from './model-control';
import type { ModelRepository } from './model-repository';

/** What the control of a model bucket works with. */
export interface BucketControlConfig {
  readonly source: BucketSource;
  readonly repository: ModelRepository;
  readonly channels: Pick<ChannelFollower, 'look'>;
}

/**
 * Models of a bucket, where the channel documents say which version serves. A request may have a further version loaded
 * beside it, or freed; what serves, only the channel decides.
 */
export class BucketControl implements ModelControl {
  readonly #source: BucketSource;
  readonly #repository: ModelRepository;
  readonly #channels: Pick<ChannelFollower, 'look'>;

  constructor(config: BucketControlConfig) {
    this.#source = config.source;
    this.#repository = config.repository;
    this.#channels = config.channels;
  }

  async index(): Promise<IndexEntry[]> {
    return Object.entries(this.#repository.report())
      .flatMap(([model, versions]) => versions.map((held) => indexEntry(model, held.version, held, '')))
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  async load(model: string, { version, settings }: LoadRequest): Promise<void> {
    if (settings !== undefined)
      throw new Error('parameters.config: the manifest of a published version cannot be overridden');
    if (version !== undefined) {
      await this.#repository.prepare(model, version);
      return;
    }
    const { production } = await this.#source.readChannel(model).catch((error: unknown) => {
      throw new Error(`it has no channel here: ${messageOf(error)}`, { cause: error });
    });
    await this.#repository.prepare(model, production);
    await this.#channels.look();
  }

  async unload(model: string, version: string | undefined): Promise<void> {
    const live = this.#repository.live(model)?.version;
    if (live !== undefined && (version === undefined || version === live)) {
      throw new Error(`its channel says that version ${live} serves; move the channel instead`);
    }
    this.#repository.unload(model, version);
  }
}
