import type { Bucket } from './bucket';
import { noSuchBucket, S3Error } from './errors';

/** All buckets of all regions: S3's bucket names are global. */
export class BucketRegistry {
  private readonly buckets = new Map<string, Bucket>();

  add(bucket: Bucket): void {
    this.buckets.set(bucket.name, bucket);
  }

  remove(name: string): void {
    this.buckets.delete(name);
  }

  find(name: string): Bucket | undefined {
    return this.buckets.get(name);
  }

  /**
   * The bucket, for a caller that addresses `region`.
   * @throws S3Error NoSuchBucket; PermanentRedirect naming the right region when the bucket lives in another
   */
  resolve(name: string, region: string): Bucket {
    const bucket = this.buckets.get(name);
    if (bucket === undefined) throw noSuchBucket(name);
    if (bucket.region !== region) {
      throw new S3Error(
        'PermanentRedirect',
        301,
        `The bucket ${name} is in ${bucket.region}; the request was sent to ${region}. Please send all future requests to its own region.`,
        { Endpoint: `${name}.s3.${bucket.region}.amazonaws.com`, Bucket: name },
        { 'x-amz-bucket-region': bucket.region },
      );
    }
    return bucket;
  }
}
