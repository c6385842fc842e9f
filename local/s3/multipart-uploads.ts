import { randomBytes, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CHECKSUM_ALGORITHMS } from './checksum';
import { errorCode, noSuchUpload } from './errors';
import { replaceFile, writeSynced } from './version-files';

const uploadSchema = z.object({
  bucket: z.string(),
  key: z.string(),
  initiated: z.string(),
  /** `undefined` when the client left the choice to S3. */
  requestedAlgorithm: z.enum(CHECKSUM_ALGORITHMS).optional(),
  checksumType: z.enum(['FULL_OBJECT', 'COMPOSITE']),
  systemHeaders: z.record(z.string(), z.string()),
  userMetadata: z.record(z.string(), z.string()),
});
/** What CreateMultipartUpload said of the object to come. */
export type Upload = Readonly<z.infer<typeof uploadSchema>>;

const partSchema = z.object({
  number: z.number().int().positive(),
  size: z.number().int().nonnegative(),
  /** Hex MD5 of the part. */
  etag: z.string(),
  checksumAlgorithm: z.enum(CHECKSUM_ALGORITHMS),
  /** Base64. */
  checksum: z.string(),
  lastModified: z.string(),
  /** File name within the upload's folder. */
  body: z.string(),
});
export type Part = Readonly<z.infer<typeof partSchema>>;

const UPLOAD_ID = /^[\w-]{32}$/;

/** Uploads in parts that were begun and not ended: a folder each, with the parts as they came. */
export class MultipartUploads {
  constructor(private readonly root: string) {}

  /** Begins an upload and returns its id. */
  async create(upload: Upload): Promise<string> {
    const uploadId = randomBytes(24).toString('base64url');
    const directory = this.directory(uploadId);
    await mkdir(directory, { recursive: true });
    await writeSynced(join(directory, 'upload.json'), JSON.stringify(upload));
    return uploadId;
  }

  /** @throws S3Error NoSuchUpload, also when the upload is of another bucket or key */
  async find(bucket: string, key: string, uploadId: string): Promise<Upload> {
    if (!UPLOAD_ID.test(uploadId)) throw noSuchUpload(uploadId);
    const text = await readIfThere(join(this.directory(uploadId), 'upload.json'));
    const upload = text === undefined ? undefined : uploadSchema.parse(JSON.parse(text));
    if (upload?.bucket !== bucket || upload.key !== key) throw noSuchUpload(uploadId);
    return upload;
  }

  /** Takes over a part's body from `bodyPath`; a part uploaded again replaces the earlier one. */
  async putPart(uploadId: string, part: Omit<Part, 'body'>, bodyPath: string): Promise<void> {
    const directory = this.directory(uploadId);
    const previous = (await this.parts(uploadId)).find((other) => other.number === part.number);
    const body = `${part.number}-${randomUUID()}.body`;
    try {
      await rename(bodyPath, join(directory, body));
      await replaceFile(join(directory, `${part.number}.json`), JSON.stringify({ ...part, body }));
    } catch (error) {
      throw await this.explain(uploadId, error);
    }
    if (previous !== undefined) await rm(join(directory, previous.body), { force: true });
  }

  /** Parts that have arrived, by their number. */
  async parts(uploadId: string): Promise<Part[]> {
    const names = await readdir(this.directory(uploadId)).catch(() => {
      throw noSuchUpload(uploadId);
    });
    const texts = names
      .filter((name) => /^\d+\.json$/.test(name))
      .map((name) => readIfThere(join(this.directory(uploadId), name)));
    const parts = (await Promise.all(texts)).flatMap((text) =>
      text === undefined ? [] : [partSchema.parse(JSON.parse(text))],
    );
    return parts.sort((a, b) => a.number - b.number);
  }

  /** The bytes of these parts, one after the other. */
  async *read(uploadId: string, parts: readonly Part[]): AsyncGenerator<Buffer> {
    for (const part of parts) yield* createReadStream(join(this.directory(uploadId), part.body));
  }

  /** Forgets an upload and its parts. */
  async remove(uploadId: string): Promise<void> {
    await rm(this.directory(uploadId), { recursive: true, force: true });
  }

  private directory(uploadId: string): string {
    return join(this.root, uploadId);
  }

  /** An upload aborted while a part was on its way has lost its folder. */
  private async explain(uploadId: string, error: unknown): Promise<unknown> {
    const upload = await readIfThere(join(this.directory(uploadId), 'upload.json'));
    return upload === undefined ? noSuchUpload(uploadId) : error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
