import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import type { FastifyBaseLogger } from 'fastify';
import type { EdgeConfig } from './config';
import { ChannelFollower } from './control/channel-follower';
import { ControlHandler } from './control/control-handler';
import { messageOf } from './errors';
import { BucketControl } from './inference/bucket-control';
import { BucketSource } from './inference/bucket-source';
import { FolderControl } from './inference/folder-control';
import { FolderSource } from './inference/folder-source';
import type { ModelControl } from './inference/model-control';
import { ModelRepository } from './inference/model-repository';
import type { ModelHost } from './inference/prepare-model';
import { selectVersions } from './inference/version-policy';

/** The models of a service: where they come from, which of them serve, and who decides that. */
export interface ModelSupply {
  readonly repository: ModelRepository;
  readonly handler: ControlHandler;
  readonly control: ModelControl;
  revisions(): Record<string, number>;
  /**
   * Why this process cannot serve yet: it does not know which versions are live, or the default model, which it should
   * serve, has never been live here. `undefined` from then on: an update that fails leaves what serves as it is.
   */
  pendingReason(): string | undefined;
  start(): Promise<void>;
  stop(): Promise<void>;
}

type SupplyConfig = Pick<
  EdgeConfig,
  'models' | 'region' | 'diskCacheDir' | 'channelPollMs' | 'versionPolicy' | 'defaultModel'
>;

/** Connects a model folder or bucket. `onChange` is called after the state of any version has changed. */
export function createModelSupply(
  config: SupplyConfig,
  host: ModelHost,
  log: FastifyBaseLogger,
  onChange: () => void,
): ModelSupply {
  return config.models.kind === 'folder'
    ? folderSupply(config.models.folder, config, host, log, onChange)
    : bucketSupply(config.models.bucket, config, host, log, onChange);
}

/** A folder has no channels: its versions are live by policy and by request. */
function folderSupply(
  folder: string,
  { versionPolicy: policy = { kind: 'all' }, defaultModel }: SupplyConfig,
  host: ModelHost,
  log: FastifyBaseLogger,
  onChange: () => void,
): ModelSupply {
  const source = new FolderSource(folder);
  const repository = new ModelRepository({ source, host, log, onChange, retryDelaysMs: [] });
  const control = new FolderControl({ source, repository, policy, log });
  return {
    repository,
    control,
    handler: new ControlHandler({ repository, channels: { expect: () => undefined }, log }),
    revisions: () => ({}),
    pendingReason: untilReady(defaultModel, repository, (model) => control.whyNotServing(model)),
    start: () =>
      control.start().catch((error: unknown) => {
        throw new Error(`MODELS_DIR=${JSON.stringify(folder)} must be a readable folder: ${messageOf(error)}`, {
          cause: error,
        });
      }),
    stop: async () => repository.close(),
  };
}

function bucketSupply(
  bucket: string,
  config: SupplyConfig,
  host: ModelHost,
  log: FastifyBaseLogger,
  onChange: () => void,
): ModelSupply {
  const client = new S3Client({ region: config.region });
  const downloadDir = join(config.diskCacheDir ?? tmpdir(), 'model-downloads');
  const source = new BucketSource({ client, bucket, downloadDir });
  const repository = new ModelRepository({ source, host, log, onChange });
  const { channelPollMs: pollMs, versionPolicy, defaultModel } = config;
  const channels = new ChannelFollower({
    source,
    repository,
    pollMs,
    log,
    ...(versionPolicy === undefined
      ? {}
      : { alsoResident: async (model) => selectVersions(versionPolicy, await source.listVersions(model)) }),
  });
  // A model that has no channel has not been published: there is nothing to serve, and nothing wrong with this task.
  const waiting = untilReady(defaultModel, repository, (model) => channels.whyNotServing(model));
  return {
    repository,
    control: new BucketControl({ source, repository, channels }),
    handler: new ControlHandler({ repository, channels, log }),
    revisions: () => channels.revisions(),
    pendingReason: () => channels.pendingReason() ?? waiting(),
    async start() {
      await source.removeLeftovers();
      channels.start();
    },
    async stop() {
      repository.close();
      await channels.stop();
      await source.removeDownloads();
      client.destroy();
    },
  };
}

/**
 * Why the default model does not serve, until it has, or there was none to serve: a task that has been well does not
 * leave with all the others when the first version that is published is refused.
 */
function untilReady(
  model: string | undefined,
  repository: ModelRepository,
  why: (model: string) => string | undefined,
): () => string | undefined {
  let isReady = model === undefined;
  return () => {
    if (isReady || model === undefined) return undefined;
    const reason = repository.live(model) === undefined ? why(model) : undefined;
    isReady = reason === undefined;
    return isReady ? undefined : `the default model ${model} is not served: ${reason}`;
  };
}
