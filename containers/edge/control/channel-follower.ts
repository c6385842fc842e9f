import type { ChannelDocument } from '../../../lib/core/channel';
import type { TaskReport } from '../../../lib/core/task-report';
import { messageOf } from '../errors';
import type { ModelRepository } from '../inference/model-repository';
import type { ChannelListing, ChannelSource } from '../inference/model-source';
import type { Logger } from './types';

/** Pause between looks while a revision that was announced has not been replicated here yet, ms. */
const AWAITED_POLL_MS = 250;
/** How long an announced revision is looked for at that pace before the ordinary one will do, ms. */
const AWAITED_FOR_MS = 60_000;

/** What a channel follower works with. */
export interface ChannelFollowerConfig {
  readonly source: ChannelSource;
  readonly repository: ModelRepository;
  /** Pause between looks at the channel documents, ms. */
  readonly pollMs: number;
  /** Published versions that stay in memory beside the one that serves and the one before it. Absent: none. */
  readonly alsoResident?: (model: string) => Promise<readonly string[]>;
  readonly log: Logger;
}

/**
 * Keeps the live versions of this process equal to the channel documents in the region's bucket. Documents are polled,
 * so nothing depends on a message arriving; an announced revision is looked for at once.
 */
export class ChannelFollower {
  readonly #source: ChannelSource;
  readonly #repository: ModelRepository;
  readonly #pollMs: number;
  readonly #alsoResident: (model: string) => Promise<readonly string[]>;
  readonly #log: Logger;
  readonly #revisions = new Map<string, number>();
  readonly #etags = new Map<string, string>();
  readonly #applying = new Map<string, Promise<void>>();
  readonly #awaited = new Map<string, { readonly revision: number; readonly until: number }>();
  #stopped = false;
  #wake: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();
  #readOnce = false;
  #failure: string | undefined;
  /** Why the channel of a model is not applied. */
  readonly #notApplied = new Map<string, string>();

  constructor(config: ChannelFollowerConfig) {
    this.#source = config.source;
    this.#repository = config.repository;
    this.#pollMs = config.pollMs;
    this.#alsoResident = config.alsoResident ?? (async () => []);
    this.#log = config.log;
  }

  /** Starts following. */
  start(): void {
    this.#running = this.#run();
  }

  /** Ends following; resolves when no look is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
  }

  /** A model's channel has moved to at least this revision: look now, and often until it is here. */
  expect(model: string, revision: number): void {
    if ((this.#revisions.get(model) ?? 0) >= revision) return;
    this.#awaited.set(model, { revision, until: Date.now() + AWAITED_FOR_MS });
    this.#wake();
  }

  /** Revision of each channel document that is applied. */
  revisions(): TaskReport['channels'] {
    return Object.fromEntries(this.#revisions);
  }

  /** Why this process does not know yet which versions are live; `undefined` once it does. */
  pendingReason(): string | undefined {
    return this.#readOnce ? undefined : (this.#failure ?? 'the channels have not been read yet');
  }

  /** Why a model that has a channel does not serve by it; `undefined` where it does, or has none. */
  whyNotServing(model: string): string | undefined {
    return this.#notApplied.get(model);
  }

  /** Looks at the channel documents now and starts applying what has changed. */
  async look(): Promise<void> {
    try {
      const listings = await this.#source.listChannels();
      const applications = listings.map((listing) => this.#applyOnce(listing));
      // Only the first look waits: a task is not healthy before it serves what it found, and later a slow model must
      // not hold up the others.
      if (!this.#readOnce) await Promise.all(applications);
      this.#readOnce = true;
      this.#failure = undefined;
    } catch (error) {
      const failure = `the channels cannot be read: ${messageOf(error)}`;
      if (failure !== this.#failure) this.#log.warn({ reason: messageOf(error) }, 'the channels cannot be read');
      this.#failure = failure;
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await this.look();
      await this.#pause();
    }
  }

  #applyOnce(listing: ChannelListing): Promise<void> {
    const { model, etag } = listing;
    if (etag !== '' && this.#etags.get(model) === etag) return Promise.resolve();
    const underWay = this.#applying.get(model);
    if (underWay !== undefined) return underWay;
    const applied = this.#apply(model)
      .then(() => {
        this.#etags.set(model, etag);
        this.#notApplied.delete(model);
      })
      .catch((error: unknown) => {
        this.#notApplied.set(model, messageOf(error));
        this.#log.error({ model, reason: messageOf(error) }, 'channel not applied');
      })
      .finally(() => this.#applying.delete(model));
    this.#applying.set(model, applied);
    return applied;
  }

  async #apply(model: string): Promise<void> {
    const document = await this.#source.readChannel(model);
    if (document.revision <= (this.#revisions.get(model) ?? 0)) return;
    await this.#repository.prepare(model, document.production);
    if (this.#stopped) return;
    const keep = await this.#resident(document);
    this.#repository.activate(model, document.production, keep);
    this.#revisions.set(model, document.revision);
    if ((this.#awaited.get(model)?.revision ?? 0) <= document.revision) this.#awaited.delete(model);
    for (const version of keep) this.#prepareBeside(model, version);
  }

  /** The version before, so that rolling back takes no download, and what a policy wants beside it. */
  async #resident({ model, production, previous }: ChannelDocument): Promise<string[]> {
    const others = await this.#alsoResident(model).catch((error: unknown) => {
      this.#log.warn(
        { model, reason: messageOf(error) },
        'published versions not listed; keeping the one before alone',
      );
      return [];
    });
    const versions = new Set([...(previous === undefined ? [] : [previous]), ...others]);
    versions.delete(production);
    return [...versions];
  }

  #prepareBeside(model: string, version: string): void {
    this.#repository.prepare(model, version).catch((error: unknown) => {
      this.#log.warn({ model, version, reason: messageOf(error) }, 'version not available beside the live one');
    });
  }

  async #pause(): Promise<void> {
    if (this.#stopped) return;
    const now = Date.now();
    for (const [model, { until }] of this.#awaited) if (until <= now) this.#awaited.delete(model);
    const pauseMs = this.#awaited.size > 0 ? Math.min(AWAITED_POLL_MS, this.#pollMs) : this.#pollMs;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
