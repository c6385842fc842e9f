/** Where a name leads and how far it is, for the CloudFront stand-in. Distances are simulated, hops are real HTTP. */
export interface ResolvedOrigin {
  /** Base URL of the load balancer's listener on this machine, without a trailing slash. */
  readonly url: string;
  readonly region: string;
  /** Certificate names the listener presents; CloudFront refuses an HTTPS origin whose name is not among them. */
  readonly certificateNames: readonly string[];
  /** Whether the load balancer's security groups let CloudFront connect; if not, connecting times out. */
  admitsCloudFront?(): boolean;
}

/** The DNS that CloudFront asks: Route 53's records over the load balancers' own names. */
export interface Dns {
  /**
   * Resolves `hostname` as seen from `fromRegion` (the region nearest to the POP): latency records by the round-trip
   * matrix, unhealthy alias targets left out; when all are unhealthy Route 53 answers as if all were well. `undefined` is NXDOMAIN.
   */
  resolve(hostname: string, fromRegion: string): ResolvedOrigin | undefined;
}

/** Simulated distances, milliseconds of round trip. */
export interface Distances {
  /** Between two regions; about zero within one. */
  betweenRegionsMs(from: string, to: string): number;
}

/** What CloudFront needs of S3 for an origin with origin access control. */
export interface S3Origin {
  /**
   * Answers a GET or HEAD that CloudFront signed for `distributionArn`; the bucket policy decides. HEAD has
   * an empty body. Status and headers are S3's own (200, 206, 304, 403, 404, 416).
   */
  fetch(request: {
    readonly method: 'GET' | 'HEAD';
    readonly bucket: string;
    /** URL path, percent-encoded, with its leading slash. */
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly distributionArn: string;
  }): Promise<{
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: import('node:stream').Readable;
  }>;
  /** Region of a bucket, `undefined` when it does not exist. */
  regionOf(bucket: string): string | undefined;
}
