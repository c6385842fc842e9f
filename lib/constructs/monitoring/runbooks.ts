/** Pages of `docs/runbooks`, one for each kind of alarm. */
export const RUNBOOKS = [
  'budget',
  'cdn-errors',
  'cdn-origin-latency',
  'certificate-expiry',
  'dead-letters',
  'disk-tier-sick',
  'firewall-blocks',
  'invalidation-lag',
  'l1-degraded',
  'l1-sick',
  'metrics-silent',
  'model-refused',
  'no-task',
  'origin-key-rotation',
  'region-errors',
  'region-failing',
  'region-scores',
  'slo-availability',
  'slo-hit-latency',
  'slow-answers',
  'unhealthy-tasks',
  'valkey-cpu',
  'valkey-evictions',
  'valkey-memory',
  'valkey-replication',
  'viewer-function',
  'worker-deaths',
] as const;
export type Runbook = (typeof RUNBOOKS)[number];

/** Where a page is found: below `baseUrl` where the environment says one, else in the repository. */
export function runbookLink(runbook: Runbook, baseUrl?: string): string {
  return `${baseUrl?.replace(/\/$/, '') ?? 'docs/runbooks'}/${runbook}.md`;
}
