import { createHash } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { GetObjectCommand, paginateListObjectsV2, type S3Client } from '@aws-sdk/client-s3';
import { z } from 'zod';
import { CHANNEL_PREFIX, ChannelDocument, channelKey } from '../../../lib/core/channel';
import { externalDataKey, ModelName, manifestKey, modelKey } from '../../../lib/core/model-name';
import { DownloadFolders } from './download-folders';
import { parseManifest } from './manifest-file';
import type { ChannelListing, ChannelSource, LocalModelFile, ModelSource } from './model-source';
import { RefusedModel } from './refused-model';

const MODEL_FILE = 'model.onnx';

/** Where a bucket source keeps its things. */
export interface BucketSourceConfig {
  readonly client: S3Client;
  readonly bucket: string;
  /** Directory for files under way; created when missing. */
  readonly downloadDir: string;
}

/** Models and channel documents in the model bucket of this region. */
export class BucketSource implements ModelSource, ChannelSource {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #downloads: DownloadFolders;

  constructor(config: BucketSourceConfig) {
    this.#client = config.client;
    this.#bucket = config.bucket;
    this.#downloads = new DownloadFolders(config.downloadDir);
  }

  /** Removes what processes that were killed have left in the download directory. */
  removeLeftovers(): Promise<void> {
    return this.#downloads.removeLeftovers();
  }

  /** Removes everything that was downloaded; no model may be opened any more. */
  removeDownloads(): Promise<void> {
    return this.#downloads.removeAll();
  }

  async listChannels(): Promise<ChannelListing[]> {
    const listings: ChannelListing[] = [];
    const pages = paginateListObjectsV2({ client: this.#client }, { Bucket: this.#bucket, Prefix: CHANNEL_PREFIX });
    for await (const page of pages) {
      for (const { Key: key = '', ETag: etag = '' } of page.Contents ?? []) {
        const model = key.slice(CHANNEL_PREFIX.length).replace(/\.json$/, '');
        if (channelKey(model) === key && ModelName.safeParse(model).success) listings.push({ model, etag });
      }
    }
    return listings;
  }

  /** Versions of a model that are published: those with a manifest, which is uploaded last. */
  async listVersions(model: string): Promise<string[]> {
    const versions: string[] = [];
    const prefix = manifestKey(model, '').slice(0, -'/manifest.json'.length);
    const pages = paginateListObjectsV2({ client: this.#client }, { Bucket: this.#bucket, Prefix: prefix });
    for await (const page of pages) {
      for (const { Key: key = '' } of page.Contents ?? []) {
        const version = key.slice(prefix.length).split('/')[0] ?? '';
        if (key === manifestKey(model, version)) versions.push(version);
      }
    }
    return versions;
  }

  async readChannel(model: string): Promise<ChannelDocument> {
    const key = channelKey(model);
    const parsed = ChannelDocument.safeParse(JSON.parse(await this.#readText(key)));
    if (!parsed.success) throw new Error(`s3://${this.#bucket}/${key} is not valid: ${z.prettifyError(parsed.error)}`);
    if (parsed.data.model !== model) {
      throw new Error(`s3://${this.#bucket}/${key} should be of model ${model}, got ${parsed.data.model}`);
    }
    return parsed.data;
  }

  async fetchVersion(model: string, version: string): Promise<LocalModelFile> {
    const manifest = parseManifest(await this.#readText(manifestKey(model, version)), model, version);
    const folder = await this.#downloads.create();
    const discard = () => this.#downloads.remove(folder);
    try {
      const path = join(folder, MODEL_FILE);
      const { sha256, bytes } = await this.#download(modelKey(model, version), path, MODEL_FILE, manifest.bytes);
      for (const { location, bytes: size } of manifest.externalData ?? []) {
        await this.#download(externalDataKey(model, version, location), join(folder, location), location, size);
      }
      return { path, sha256, bytes, manifest, golden: manifest.golden, discard };
    } catch (error) {
      await discard();
      throw error;
    }
  }

  async #download(key: string, path: string, name: string, bytes: number): Promise<{ sha256: string; bytes: number }> {
    await mkdir(dirname(path), { recursive: true });
    return writeFileFrom(await this.#read(key), path, name, bytes);
  }

  async #readText(key: string): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of await this.#read(key)) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString('utf8');
  }

  async #read(key: string): Promise<Readable> {
    const { Body: body } = await this.#client.send(new GetObjectCommand({ Bucket: this.#bucket, Key: key }));
    if (body === undefined) throw new Error(`s3://${this.#bucket}/${key} came without a body`);
    return body as Readable;
  }
}

/** Writes a stream to a file, stopping at the first byte past `maxBytes`: what is longer is not the published file. */
async function writeFileFrom(
  stream: Readable,
  path: string,
  name: string,
  maxBytes: number,
): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(path, 'wx');
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new RefusedModel(`${name} should have ${maxBytes} bytes, got more`);
      hash.update(chunk);
      await file.writeFile(chunk);
    }
  } finally {
    await file.close();
  }
  return { sha256: hash.digest('hex'), bytes };
}
