import { open } from 'node:fs/promises';
import { type ChecksumAlgorithm, createDigest } from './checksum';
import { type Payload, receivePayload } from './payload';
import type { S3Request } from './request';

/** Writes a request's verified body to a new file and syncs it. */
export async function storeRequestBody(request: S3Request, path: string): Promise<Payload> {
  return writeNewFile(path, (write) => receivePayload(request, write));
}

/** Writes bytes that this machine already holds (a copy, the parts of an upload) to a new file and syncs it. */
export async function storeBytes(
  source: AsyncIterable<Buffer>,
  path: string,
  algorithm: ChecksumAlgorithm,
): Promise<{ readonly size: number; readonly md5: Buffer; readonly checksum: string }> {
  const md5 = createDigest('md5');
  const checksum = createDigest(algorithm);
  let size = 0;
  await writeNewFile(path, async (write) => {
    for await (const data of source) {
      md5.update(data);
      checksum.update(data);
      size += data.length;
      await write(data);
    }
  });
  return { size, md5: md5.finish(), checksum: checksum.finish().toString('base64') };
}

async function writeNewFile<T>(path: string, fill: (write: (data: Buffer) => Promise<void>) => Promise<T>): Promise<T> {
  const file = await open(path, 'wx');
  try {
    const result = await fill((data) => file.writeFile(data));
    await file.sync();
    return result;
  } finally {
    await file.close();
  }
}
