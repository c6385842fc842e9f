import type { ControlMessage } from '../../../lib/core/control-message';
import { messageOf } from '../errors';
import type { ModelRepository } from '../inference/model-repository';
import type { ChannelFollower } from './channel-follower';
import type { Logger } from './types';

/** What control messages act on. */
export interface ControlHandlerConfig {
  readonly repository: ModelRepository;
  readonly channels: Pick<ChannelFollower, 'expect'>;
  readonly log: Logger;
}

/** Carries out `prepare` and `activate` messages; invalidations are the cache's own matter. */
export class ControlHandler {
  readonly #repository: ModelRepository;
  readonly #channels: Pick<ChannelFollower, 'expect'>;
  readonly #log: Logger;

  constructor(config: ControlHandlerConfig) {
    this.#repository = config.repository;
    this.#channels = config.channels;
    this.#log = config.log;
  }

  handle(message: ControlMessage): void {
    if (message.kind === 'activate') this.#channels.expect(message.model, message.revision);
    if (message.kind === 'prepare') this.#prepare(message.model, message.version);
  }

  #prepare(model: string, version: string): void {
    this.#repository.prepare(model, version).catch((error: unknown) => {
      this.#log.warn({ model, version, reason: messageOf(error) }, 'version asked for could not be prepared');
    });
  }
}
