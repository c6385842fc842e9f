import { decide } from '../iam/evaluate';
import { type Policy, parsePolicy } from '../iam/policy';

/** What CloudFront asks of a bucket. */
export interface CloudFrontQuestion {
  /** E.g. `s3:GetObject`. */
  readonly action: string;
  readonly resource: string;
  readonly distributionArn: string;
}

/** A bucket policy. */
export class BucketPolicy {
  private constructor(readonly statements: Policy) {}

  /** Reads a policy document; refuses by name what it could not evaluate, instead of guessing an answer later. */
  static parse(document: unknown): BucketPolicy {
    return new BucketPolicy(parsePolicy(document, 'resource', 'The bucket policy'));
  }

  /** Whether CloudFront may do this: some statement allows it and none denies it. It speaks TLS 1.3 to S3. */
  allowsCloudFront({ action, resource, distributionArn }: CloudFrontQuestion): boolean {
    const context = {
      'aws:securetransport': 'true',
      's3:tlsversion': '1.3',
      'aws:sourcearn': distributionArn,
      'aws:sourceaccount': distributionArn.split(':')[4] ?? '',
    };
    const principal = { kind: 'service', service: 'cloudfront.amazonaws.com' } as const;
    return decide({ principal, action, resource, context }, [], this.statements) === 'allowed';
  }
}
