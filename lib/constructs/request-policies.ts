import {
  OriginRequestCookieBehavior,
  OriginRequestHeaderBehavior,
  OriginRequestPolicy,
  OriginRequestQueryStringBehavior,
} from 'aws-cdk-lib/aws-cloudfront';
import type { Construct } from 'constructs';
import { REQUEST_TIMEOUT_HEADER } from '../core/request-headers';

/**
 * What CloudFront tells of where a viewer is. Named in an origin request policy, they reach the viewer-request function and
 * the service without being part of a cache key: a cache key with a position in it would never be hit twice.
 */
export const VIEWER_PLACE_HEADERS = [
  'CloudFront-Viewer-Country',
  'CloudFront-Viewer-City',
  'CloudFront-Viewer-Latitude',
  'CloudFront-Viewer-Longitude',
] as const;

/** Headers of a prediction's request that mean something to the service, or to whoever follows it through the systems. */
const VIEWER_HEADERS = ['Content-Type', REQUEST_TIMEOUT_HEADER, 'traceparent', 'tracestate'] as const;

/**
 * What the service is told of a request for a prediction. CloudFront's own headers can only be added to a list of the
 * viewer's, or to all of them with `Host`, by which CloudFront would look for another certificate than the load balancer
 * has. So these are listed; a policy takes ten. The open protocol stays with all of the viewer's headers, for it
 * negotiates compression, and `Accept-Encoding` cannot be listed.
 * Source: CloudFront developer guide, "Control origin requests with a policy", and its quotas.
 */
export function predictionRequestPolicy(scope: Construct, id: string, namePrefix: string): OriginRequestPolicy {
  return new OriginRequestPolicy(scope, id, {
    originRequestPolicyName: `${namePrefix}-predictions`,
    comment: 'The question, and where the viewer is',
    headerBehavior: OriginRequestHeaderBehavior.allowList(...VIEWER_HEADERS, ...VIEWER_PLACE_HEADERS),
    queryStringBehavior: OriginRequestQueryStringBehavior.all(),
    cookieBehavior: OriginRequestCookieBehavior.none(),
  });
}
