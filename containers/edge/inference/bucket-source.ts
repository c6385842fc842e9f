import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { GetObjectCommand, paginateListObjectsV2, type S3Client } from '@aws-sdk/client-s3';
import { z } from 'zod';
import { CHANNEL_PREFIX, ChannelDocument, channelKey } from '../../../lib/core/channel';
import { ModelName, manifestKey, modelKey } from '../../../lib/core/model-name';
import { parseManifest } from './manifest-file';
import type { ChannelListing, ChannelSource, LocalModelFile, ModelSource } from './model-source';
import { RefusedModel } from './refused-model';

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
  readonly #downloadDir: string;

  constructor(config: BucketSourceConfig) {
    this.#client = config.client;
    this.#bucket = config.bucket;
    this.#downloadDir = config.downloadDir;
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
    await mkdir(this.#downloadDir, { recursive: true });
    const folder = await mkdtemp(join(this.#downloadDir, 'model-'));
    const discard = () => rm(folder, { recursive: true, force: true });
    try {
      const path = join(folder, 'model.onnx');
      const { sha256, bytes } = await writeFileFrom(await this.#read(modelKey(model, version)), path, manifest.bytes);
      return { path, sha256, bytes, manifest, discard };
    } catch (error) {
      await discard();
      throw error;
    }
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
  maxBytes: number,
): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(path, 'wx');
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new RefusedModel(`model.onnx should have ${maxBytes} bytes, got more`);
      hash.update(chunk);
      await file.writeFile(chunk);
    }
  } finally {
    await file.close();
  }
  return { sha256: hash.digest('hex'), bytes };
}
