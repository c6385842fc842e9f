/** A target group's health check; times in milliseconds. */
export interface HealthCheck {
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Consecutive successes that make an unhealthy target healthy. */
  readonly healthyThreshold: number;
  /** Consecutive failures that make a healthy target unhealthy. */
  readonly unhealthyThreshold: number;
  /** Whether a status passes. */
  readonly passes: (status: number) => boolean;
}

/**
 * Reads a matcher as the load balancer does: codes and ranges, `200`, `200,202`, `200-299`.
 *
 * @throws when it is none of these.
 */
export function statusMatcher(codes: string): (status: number) => boolean {
  const ranges = codes.split(',').map((part) => {
    const [, from, to] = /^\s*(\d{3})(?:-(\d{3}))?\s*$/.exec(part) ?? [];
    if (!from) throw new Error(`Matcher.HttpCode: ${codes} must be codes or ranges such as 200, 200,202 or 200-299`);
    return { from: Number(from), to: Number(to ?? from) };
  });
  return (status) => ranges.some(({ from, to }) => status >= from && status <= to);
}

/** Whether one request to `url` passes the check in time. */
export async function isHealthy(url: string, check: HealthCheck, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(`${url}${check.path}`, {
      headers: { 'user-agent': 'ELB-HealthChecker/2.0' },
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(check.timeoutMs)]),
    });
    await response.body?.cancel();
    return check.passes(response.status);
  } catch {
    return false;
  }
}
