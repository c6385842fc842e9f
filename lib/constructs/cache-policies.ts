import { Duration } from 'aws-cdk-lib';
import {
  CacheCookieBehavior,
  CacheHeaderBehavior,
  CachePolicy,
  CacheQueryStringBehavior,
} from 'aws-cdk-lib/aws-cloudfront';
import { Construct } from 'constructs';
import { LIVE_VERSION_HEADER } from '../core/channel';

/** The longest that CloudFront may keep an immutable artifact. */
const ARTIFACT_MAX_TTL = Duration.days(365);

/** What makes two requests the same at a POP, and how long their answer may stay, for each kind of content. */
export class CachePolicies extends Construct {
  /** `GET /predict`: the canonical question and the version that is to answer it. The service says how long it holds. */
  readonly predictions: CachePolicy;
  /** `GET /models/...`: immutable, so the path alone. */
  readonly artifacts: CachePolicy;
  /** Everything else: by the origin's own Cache-Control, apart per credential, cookie and negotiated form. */
  readonly apiResponses: CachePolicy;

  /** @param namePrefix policies' names are unique in an account, so they carry the environment's. */
  constructor(scope: Construct, id: string, namePrefix: string) {
    super(scope, id);
    this.predictions = new CachePolicy(this, 'Predictions', {
      cachePolicyName: `${namePrefix}-predictions`,
      comment: 'Canonical query and live model version',
      queryStringBehavior: CacheQueryStringBehavior.allowList('features', 'model', 'version'),
      headerBehavior: CacheHeaderBehavior.allowList(LIVE_VERSION_HEADER),
      cookieBehavior: CacheCookieBehavior.none(),
      minTtl: Duration.seconds(0),
      defaultTtl: Duration.seconds(0),
      maxTtl: Duration.days(1),
      enableAcceptEncodingGzip: true,
      enableAcceptEncodingBrotli: true,
    });
    this.artifacts = new CachePolicy(this, 'Artifacts', {
      cachePolicyName: `${namePrefix}-artifacts`,
      comment: 'Immutable model artifacts, by path',
      queryStringBehavior: CacheQueryStringBehavior.none(),
      headerBehavior: CacheHeaderBehavior.none(),
      cookieBehavior: CacheCookieBehavior.none(),
      minTtl: Duration.seconds(0),
      defaultTtl: Duration.days(1),
      maxTtl: ARTIFACT_MAX_TTL,
      enableAcceptEncodingGzip: true,
      enableAcceptEncodingBrotli: true,
    });
    this.apiResponses = new CachePolicy(this, 'ApiResponses', {
      cachePolicyName: `${namePrefix}-api-responses`,
      comment: "The origin's Cache-Control decides; private answers stay apart",
      queryStringBehavior: CacheQueryStringBehavior.all(),
      headerBehavior: CacheHeaderBehavior.allowList('Accept', 'Accept-Language', 'Authorization', 'Origin'),
      cookieBehavior: CacheCookieBehavior.all(),
      minTtl: Duration.seconds(0),
      defaultTtl: Duration.seconds(0),
      maxTtl: ARTIFACT_MAX_TTL,
      enableAcceptEncodingGzip: true,
      enableAcceptEncodingBrotli: true,
    });
  }
}
