import {
  DeleteObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  ListObjectVersionsCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { compareUtf8, listKeys } from '../../../local/s3/listing';
import { bucketSpec, failure, type RunningS3, startS3 } from './support';

const Bucket = 'models';
let running: RunningS3;
let client: S3Client;

beforeAll(async () => {
  running = await startS3([bucketSpec(Bucket), bucketSpec('history')]);
  client = running.client();
  for (const Key of ['b', 'a/1', 'a/2', 'a/x/3', 'c/4', 'gone', 'sp ace+é']) {
    await client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
  }
  await client.send(new DeleteObjectCommand({ Bucket, Key: 'gone' }));
});
afterAll(() => running.stop());

const list = async (query: Partial<ListObjectsV2CommandInput> = {}) => {
  const page = await client.send(new ListObjectsV2Command({ Bucket, ...query }));
  return {
    keys: (page.Contents ?? []).map(({ Key }) => Key),
    prefixes: (page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix),
    page,
  };
};

describe('ListObjectsV2', () => {
  it('lists current objects in order, without what is deleted', async () => {
    const { keys, page } = await list();
    expect(keys).toEqual(['a/1', 'a/2', 'a/x/3', 'b', 'c/4', 'sp ace+é']);
    expect(page).toMatchObject({ KeyCount: 6, IsTruncated: false });
    expect(page.Contents?.[0]).toMatchObject({ Size: 3, StorageClass: 'STANDARD', ChecksumAlgorithm: ['CRC32'] });
  });

  it('rolls up at a delimiter under a prefix', async () => {
    expect(await list({ Delimiter: '/' })).toMatchObject({ keys: ['b', 'sp ace+é'], prefixes: ['a/', 'c/'] });
    expect(await list({ Delimiter: '/', Prefix: 'a/' })).toMatchObject({ keys: ['a/1', 'a/2'], prefixes: ['a/x/'] });
    expect(await list({ Prefix: 'none' })).toMatchObject({ keys: [], prefixes: [] });
  });

  it('goes on where a page ended', async () => {
    const pages: (string | undefined)[][] = [];
    for await (const page of paginateListObjectsV2({ client, pageSize: 2 }, { Bucket, Delimiter: '/' })) {
      pages.push([
        ...(page.CommonPrefixes ?? []).map((each) => each.Prefix),
        ...(page.Contents ?? []).map((each) => each.Key),
      ]);
    }
    expect(pages).toEqual([
      ['a/', 'b'],
      ['c/', 'sp ace+é'],
    ]);
  });

  it('starts after a key, encodes names, refuses a bad token', async () => {
    expect((await list({ StartAfter: 'b' })).keys).toEqual(['c/4', 'sp ace+é']);
    expect((await list({ Prefix: 'sp', EncodingType: 'url' })).keys).toEqual(['sp+ace%2B%C3%A9']);
    expect(await failure(list({ ContinuationToken: '?' }))).toMatchObject({ name: 'InvalidArgument' });
  });

  it('gives every key once, whatever the page size', () => {
    const key = fc.string({ unit: fc.constantFrom('a', 'b', '/', '~', '\u{1F600}'), minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(
        fc.uniqueArray(key),
        fc.constantFrom('', '/'),
        fc.integer({ min: 1, max: 4 }),
        (keys, delimiter, maxKeys) => {
          const sorted = [...keys].sort(compareUtf8);
          const whole = listKeys(sorted, { prefix: '', delimiter, after: '', maxKeys: 1000 });
          const paged: string[] = [];
          let after: string | undefined = '';
          while (after !== undefined) {
            const page = listKeys(sorted, { prefix: '', delimiter, after, maxKeys });
            paged.push(...page.keys, ...page.commonPrefixes);
            after = page.next;
          }
          expect(paged.sort()).toEqual([...whole.keys, ...whole.commonPrefixes].sort());
        },
      ),
    );
  });
});

describe('ListObjectVersions', () => {
  it('lists every version and delete marker, also over pages that end within a key', async () => {
    const written: (string | undefined)[] = [];
    for (const Key of ['k1', 'k1', 'k1', 'k2', 'k3']) {
      const { VersionId } = await client.send(new PutObjectCommand({ Bucket: 'history', Key, Body: 'x' }));
      written.push(VersionId);
    }
    const marker = await client.send(new DeleteObjectCommand({ Bucket: 'history', Key: 'k2' }));
    const whole = await client.send(new ListObjectVersionsCommand({ Bucket: 'history' }));
    expect(whole.Versions?.map((each) => each.VersionId)).toEqual([
      written[2],
      written[1],
      written[0],
      written[3],
      written[4],
    ]);
    expect(whole.Versions?.map((each) => each.IsLatest)).toEqual([true, false, false, false, true]);
    expect(whole.DeleteMarkers).toEqual([
      expect.objectContaining({ Key: 'k2', VersionId: marker.VersionId, IsLatest: true }),
    ]);

    const seen: (string | undefined)[] = [];
    let KeyMarker: string | undefined;
    let VersionIdMarker: string | undefined;
    for (;;) {
      const page = await client.send(
        new ListObjectVersionsCommand({ Bucket: 'history', MaxKeys: 2, KeyMarker, VersionIdMarker }),
      );
      seen.push(...[...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map((each) => each.VersionId));
      if (!page.IsTruncated) break;
      KeyMarker = page.NextKeyMarker;
      VersionIdMarker = page.NextVersionIdMarker;
    }
    expect(seen.sort()).toEqual([...written, marker.VersionId].sort());
  });
});
