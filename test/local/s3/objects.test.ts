import { createHash, randomBytes } from 'node:crypto';
import files from 'node:fs/promises';
import { Readable } from 'node:stream';
import { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { failure, objectsOf, type RunningS3, startS3, THREE_BUCKETS } from './support';

const Bucket = 'models';
let running: RunningS3;
let client: S3Client;

beforeAll(async () => {
  running = await startS3(THREE_BUCKETS);
  client = running.client();
});
afterAll(() => running.stop());
afterEach(() => jest.restoreAllMocks());

const { put, text } = objectsOf(Bucket, () => client);

describe('writing and reading', () => {
  it('keeps body, headers and metadata', async () => {
    const body = randomBytes(3_000_000);
    const written = await put('a/b c+é/../model.onnx', body, {
      ContentType: 'application/onnx',
      CacheControl: 'public, max-age=60',
      ContentEncoding: 'identity',
      Metadata: { 'cache-tag': 'model:ranker,model:ranker@v1' },
    });
    const read = await client.send(new GetObjectCommand({ Bucket, Key: 'a/b c+é/../model.onnx' }));
    expect(Buffer.compare(Buffer.from((await read.Body?.transformToByteArray()) ?? []), body)).toBe(0);
    expect(read).toMatchObject({
      ETag: `"${createHash('md5').update(body).digest('hex')}"`,
      VersionId: written.VersionId,
      ContentLength: 3_000_000,
      ContentType: 'application/onnx',
      CacheControl: 'public, max-age=60',
      ContentEncoding: 'identity',
      Metadata: { 'cache-tag': 'model:ranker,model:ranker@v1' },
    });
  });

  it('takes a stream, which the SDK sends in chunks with the checksum as trailer', async () => {
    const body = randomBytes(700_000);
    const pieces = [body.subarray(0, 300_001), body.subarray(300_001)];
    const written = await put('streamed', Readable.from(pieces), { ContentLength: body.length });
    expect(written.ChecksumCRC32).toBeDefined();
    const read = await client.send(new GetObjectCommand({ Bucket, Key: 'streamed', ChecksumMode: 'ENABLED' }));
    expect(read.ChecksumCRC32).toBe(written.ChecksumCRC32);
    expect(read.ContentEncoding).toBeUndefined();
    expect(Buffer.compare(Buffer.from((await read.Body?.transformToByteArray()) ?? []), body)).toBe(0);
  });

  it('serves buckets as subdomains too', async () => {
    await put('by-host', 'yes');
    const answer = await fetch(`http://127.0.0.1:${running.port}/${Bucket}/by-host`);
    expect(await answer.text()).toBe('yes');
    const byHost = await requestWithHost(`${Bucket}.localhost:${running.port}`, '/by-host');
    expect(byHost).toBe('yes');
  });

  it('replaces response headers when asked', async () => {
    await put('overridden', 'x');
    const read = await client.send(
      new GetObjectCommand({
        Bucket,
        Key: 'overridden',
        ResponseContentType: 'text/css',
        ResponseCacheControl: 'no-store',
      }),
    );
    expect(read).toMatchObject({ ContentType: 'text/css', CacheControl: 'no-store' });
  });

  it.each([
    ['bytes=2-4', '234', 'bytes 2-4/10'],
    ['bytes=7-', '789', 'bytes 7-9/10'],
    ['bytes=-2', '89', 'bytes 8-9/10'],
    ['bytes=8-99', '89', 'bytes 8-9/10'],
  ])('serves the range %s', async (Range, expected, ContentRange) => {
    await put('digits', '0123456789');
    const read = await client.send(new GetObjectCommand({ Bucket, Key: 'digits', Range }));
    expect(read.$metadata.httpStatusCode).toBe(206);
    expect(read.ContentRange).toBe(ContentRange);
    expect(await read.Body?.transformToString()).toBe(expected);
  });

  it('refuses a range past the end', async () => {
    await put('digits', '0123456789');
    expect(await failure(text('digits', { Range: 'bytes=10-' }))).toMatchObject({ name: 'InvalidRange', status: 416 });
  });

  it('tells what is missing', async () => {
    expect(await failure(text('nothing'))).toMatchObject({ name: 'NoSuchKey', status: 404 });
    const head = client.send(new HeadObjectCommand({ Bucket, Key: 'nothing' }));
    expect(await failure(head)).toMatchObject({ name: 'NotFound', status: 404 });
    const other = client.send(new GetObjectCommand({ Bucket: 'no-bucket', Key: 'x' }));
    expect(await failure(other)).toMatchObject({ name: 'NoSuchBucket', status: 404 });
  });
});

describe('integrity', () => {
  it.each(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const)('verifies and keeps %s', async (algorithm) => {
    // Published check values of "123456789".
    const checks = {
      CRC32: 'y/Q5Jg==',
      CRC32C: '4waSgw==',
      CRC64NVME: 'rosUhgp5mIg=',
      SHA1: createHash('sha1').update('123456789').digest('base64'),
      SHA256: createHash('sha256').update('123456789').digest('base64'),
    };
    const Key = `checked-${algorithm}`;
    const member = `Checksum${algorithm}`;
    await put(Key, '123456789', { [member]: checks[algorithm] });
    const head = await client.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
    expect(head).toMatchObject({ [member]: checks[algorithm], ChecksumType: 'FULL_OBJECT' });
    const wrong = failure(put(`${Key}-wrong`, '12345678X', { [member]: checks[algorithm] }));
    expect(await wrong).toMatchObject({ name: 'BadDigest', status: 400 });
    expect(await failure(text(`${Key}-wrong`))).toMatchObject({ name: 'NoSuchKey' });
  });

  it('refuses a body that is not the one of its Content-MD5', async () => {
    const ContentMD5 = createHash('md5').update('other').digest('base64');
    expect(await failure(put('md5', 'body', { ContentMD5 }))).toMatchObject({ name: 'BadDigest', status: 400 });
    expect(await failure(put('md5', 'body', { ContentMD5: 'AAAA' }))).toMatchObject({ name: 'InvalidDigest' });
  });

  it('refuses a body whose SHA-256 is not the signed one', async () => {
    const answer = await fetch(`http://127.0.0.1:${running.port}/${Bucket}/sha`, {
      method: 'PUT',
      body: 'body',
      headers: { 'x-amz-content-sha256': createHash('sha256').update('other').digest('hex') },
    });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain('<Code>XAmzContentSHA256Mismatch</Code>');
  });

  it.each([
    ['a wrong trailer', '4\r\nbody\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n', 'BadDigest'],
    ['no trailer', '4\r\nbody\r\n0\r\n\r\n', 'MalformedTrailerError'],
    ['a body cut in a chunk', '4\r\nbo', 'IncompleteBody'],
    ['a body without its last chunk', '4\r\nbody\r\n', 'IncompleteBody'],
    ['no chunk size', 'body', 'IncompleteBody'],
  ])('refuses aws-chunked with %s and stores nothing', async (_, body, code) => {
    const answer = await fetch(`http://127.0.0.1:${running.port}/${Bucket}/chunked`, {
      method: 'PUT',
      body,
      headers: {
        'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        'content-encoding': 'aws-chunked',
        'x-amz-decoded-content-length': '4',
        'x-amz-trailer': 'x-amz-checksum-crc32',
      },
    });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain(`<Code>${code}</Code>`);
    expect(await failure(text('chunked'))).toMatchObject({ name: 'NoSuchKey' });
  });

  it('stores nothing when the disk is full, and says so', async () => {
    const open = files.open;
    jest.spyOn(files, 'open').mockImplementation((path, ...rest) =>
      // The kernel answers every write to /dev/full with ENOSPC.
      String(path).endsWith('body') ? open('/dev/full', 'w') : open(path, ...rest),
    );
    const refused = await failure(put('full', 'body'));
    expect(refused).toMatchObject({ name: 'InternalError', status: 500 });
    expect(refused.message).toContain('disk that holds the local S3 is full');
    jest.restoreAllMocks();
    expect(await failure(text('full'))).toMatchObject({ name: 'NoSuchKey' });
    expect(await files.readdir(`${running.rootDir}/buckets/${Bucket}/incoming`)).toEqual([]);
  });
});

describe('conditions', () => {
  it('writes only where nothing is, with If-None-Match', async () => {
    await put('once', 'first', { IfNoneMatch: '*' });
    expect(await failure(put('once', 'second', { IfNoneMatch: '*' }))).toMatchObject({
      name: 'PreconditionFailed',
      status: 412,
    });
    expect(await text('once')).toBe('first');
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'once' }));
    await put('once', 'third', { IfNoneMatch: '*' });
    expect(await text('once')).toBe('third');
  });

  it('refuses a large write at once, and the client gets to read why', async () => {
    await put('large', 'first');
    const body = Buffer.alloc(32 * 1024 * 1024);
    expect(await failure(put('large', body, { IfNoneMatch: '*' }))).toMatchObject({ name: 'PreconditionFailed' });
    expect(await text('large')).toBe('first');
  });

  it('lets one of many simultaneous If-None-Match writers win', async () => {
    const bodies = Array.from({ length: 8 }, (_, index) => `writer ${index}`);
    const results = await Promise.allSettled(bodies.map((body) => put('raced', body, { IfNoneMatch: '*' })));
    const winners = results.flatMap((result, index) => (result.status === 'fulfilled' ? [bodies[index]] : []));
    expect(winners).toHaveLength(1);
    expect(await text('raced')).toBe(winners[0]);
  });

  it('answers 409 when a delete comes between the check and the commit of a conditional write', async () => {
    const { ETag } = await put('conflict', 'old');
    let finish = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const arrived = firstPieceArrives();
    const writing = failure(put('conflict', Readable.from(twoPieces(gate)), { IfMatch: ETag, ContentLength: 131_072 }));
    await arrived;
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'conflict' }));
    finish();
    expect(await writing).toMatchObject({ name: 'ConditionalRequestConflict', status: 409 });
  });

  it('replaces only what was seen, with If-Match', async () => {
    const { ETag } = await put('compare', 'one');
    await put('compare', 'two', { IfMatch: ETag });
    expect(await failure(put('compare', 'three', { IfMatch: ETag }))).toMatchObject({ status: 412 });
    expect(await failure(put('absent', 'x', { IfMatch: ETag }))).toMatchObject({ name: 'NoSuchKey', status: 404 });
  });

  it('answers conditional reads', async () => {
    const { ETag } = await put('read', 'body');
    const before = new Date(running.clock.now().getTime() - 60_000);
    const after = new Date(running.clock.now().getTime() + 60_000);
    expect(await text('read', { IfMatch: ETag })).toBe('body');
    expect(await failure(text('read', { IfMatch: '"other"' }))).toMatchObject({ status: 412 });
    expect(await failure(text('read', { IfNoneMatch: ETag }))).toMatchObject({ status: 304 });
    expect(await text('read', { IfNoneMatch: '"other"' })).toBe('body');
    expect(await failure(text('read', { IfModifiedSince: after }))).toMatchObject({ status: 304 });
    expect(await text('read', { IfModifiedSince: before })).toBe('body');
    expect(await failure(text('read', { IfUnmodifiedSince: before }))).toMatchObject({ status: 412 });
    expect(await text('read', { IfMatch: ETag, IfUnmodifiedSince: before })).toBe('body');
  });
});

async function* twoPieces(gate: Promise<void>): AsyncGenerator<Buffer> {
  yield Buffer.alloc(65_536);
  await gate;
  yield Buffer.alloc(65_536);
}

/** Resolves when a body's file is opened, which is after the write's condition was checked. */
function firstPieceArrives(): Promise<void> {
  const open = files.open;
  return new Promise((resolve) => {
    jest.spyOn(files, 'open').mockImplementation((path, ...rest) => {
      if (String(path).endsWith('body')) resolve();
      return open(path, ...rest);
    });
  });
}

async function requestWithHost(host: string, path: string): Promise<string> {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: running.port, path, headers: { host } }, async (answer) => {
      const pieces: Buffer[] = [];
      for await (const piece of answer) pieces.push(piece);
      resolve(Buffer.concat(pieces).toString());
    })
      .on('error', reject)
      .end();
  });
}
