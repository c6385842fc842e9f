/** What one client may take of the service before it is refused. */
export interface HttpLimits {
  /** Largest request body, bytes. */
  readonly bodyBytes: number;
  /** Largest request line and headers together, bytes. */
  readonly headerBytes: number;
  /** Header fields of one request. Node drops the ones above its bound silently, so it is set above this one. */
  readonly headerFields: number;
  /** Longest time a client may take to send its headers, ms. */
  readonly headersTimeoutMs: number;
  /** Longest time a client may take to send its whole request, ms. */
  readonly requestTimeoutMs: number;
  /** How often slow clients are looked for, ms. */
  readonly checkIntervalMs: number;
  /** Longest time in which a connection may move no byte while an answer is due or not being read, ms. */
  readonly stalledTimeoutMs: number;
  /** How long a connection may wait for its next request, ms. */
  readonly keepAliveTimeoutMs: number;
  /** Connections of one process. */
  readonly connections: number;
}

export const HTTP_LIMITS: HttpLimits = {
  bodyBytes: 8 * 1024 * 1024,
  headerBytes: 16 * 1024,
  headerFields: 200,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  checkIntervalMs: 5_000,
  // Above the 25 s that an origin may be silent: a connection that waits for it is not stalled.
  stalledTimeoutMs: 60_000,
  // Longer than the load balancer's 60 s idle time, or it would send requests into connections that just closed.
  keepAliveTimeoutMs: 75_000,
  connections: 20_000,
};
