import Table from 'cli-table3';
import type { DrainResult } from '../lib/control/drain';
import type { InvalidateResult } from '../lib/control/invalidate';
import type { RegionReceipt } from '../lib/control/region-tasks';
import type { RolloutResult } from '../lib/control/rollout';
import type { RotateResult } from '../lib/control/rotate-origin-key';
import type { CdnStatus, RegionReading } from '../lib/control/status';

/** Text of a publication or rollback for people. */
export function rolloutText(result: RolloutResult): string {
  const { model, version, previous, revision, prepared, activated } = result;
  const before = previous ? `, previous version ${previous}` : '';
  const headline = `${model} ${version} is live in every region (channel revision ${revision}${before})`;
  const regions = [...new Set([...prepared, ...activated].map(({ region }) => region))];
  if (regions.length === 0) return `${headline}; nothing had to change`;
  const rows = regions.map((region) => [region, receiptText(prepared, region), receiptText(activated, region)]);
  return `${headline}\n${table(['region', 'prepared', 'activated'], rows)}`;
}

function receiptText(receipts: readonly RegionReceipt[], region: string): string {
  const receipt = receipts.find((candidate) => candidate.region === region);
  return receipt ? `${receipt.tasks} task(s), ${receipt.propagationMs} ms` : 'was already';
}

/** Text of a drain, or of its end, for people. */
export function drainText({ region, drained, dns, scores, effectiveWithinSeconds, others }: DrainResult): string {
  const state = drained ? 'drained' : 'in service';
  const changed = dns.changed || scores.changed;
  const serving = others.length > 0 ? others.join(', ') : 'none';
  return [
    changed ? `${region} is ${state} now` : `${region} was ${state} already; nothing had to change`,
    ...(dns.changed ? [`health check ${dns.healthCheckId}: DNS follows within ${effectiveWithinSeconds} s`] : []),
    `other regions that serve: ${serving}`,
  ].join('\n');
}

/** Text of a rotation for people. */
export function rotationText({ environment, version, durationMs, nextRotation }: RotateResult): string {
  const seconds = Math.round(durationMs / 1000);
  const next = nextRotation ? `; next on ${nextRotation.slice(0, 10)}` : '';
  return `both origin keys of ${environment} are renewed (version ${version}, ${seconds} s)${next}`;
}

/** Text of an invalidation for people. */
export function invalidationText({ id, regions, cloudFront, notes }: InvalidateResult): string {
  const parts = [`invalidation ${id}`];
  if (regions) {
    const rows = regions.map((r) => [r.region, String(r.tasks), String(r.position), `${r.propagationMs} ms`]);
    parts.push(table(['region', 'tasks', 'log position', 'applied after'], rows));
  }
  for (const { id: reference, items, status } of cloudFront) {
    parts.push(`CloudFront ${reference}: ${items.join(' ')} (${status})`);
  }
  return [...parts, ...notes.map((note) => `note: ${note}`)].join('\n');
}

/** Text of a status for people. */
export function statusText({ environment, homeRegion, models, regions, problems }: CdnStatus): string {
  const modelRows = models.map((m) => [
    m.model,
    m.production,
    m.previous ?? '-',
    String(m.revision),
    m.edgeKeyVersion ?? '-',
  ]);
  return [
    `environment ${environment}, home region ${homeRegion}`,
    models.length > 0
      ? table(['model', 'live', 'previous', 'revision', 'CloudFront key'], modelRows)
      : 'no model is published',
    table(['region', 'task', 'log applied / head', 'versions'], regions.flatMap(taskRows)),
    table(['region', 'cache', 'status', 'nodes'], regions.map(cacheRow)),
    ...(problems.length > 0 ? problems.map((problem) => `problem: ${problem}`) : ['no problems']),
  ].join('\n');
}

function taskRows({ region, control }: RegionReading): string[][] {
  if ('error' in control) return [[region, control.error, '-', '-']];
  const { epoch, head, tasks } = control.value;
  if (tasks.length === 0) return [[region, 'no live task', `- / ${head}`, '-']];
  return tasks.map((task) => {
    const applied = task.epoch === epoch ? String(task.position) : 'another log';
    const versions = Object.entries(task.models).map(
      ([model, held]) => `${model}: ${held.map(({ version, state }) => `${version} ${state}`).join(', ')}`,
    );
    return [region, task.taskId, `${applied} / ${head}`, versions.join('\n') || '-'];
  });
}

function cacheRow({ region, cache }: RegionReading): string[] {
  if ('error' in cache) return [region, '-', cache.error, '-'];
  const { engine, nodeType, status, nodes } = cache.value;
  return [region, `${engine} ${nodeType}`, status, String(nodes)];
}

export function table(head: string[], rows: string[][]): string {
  const colours = process.stdout.isTTY ? {} : { style: { head: [], border: [] } };
  const grid = new Table({ head, ...colours });
  grid.push(...rows);
  return grid.toString();
}
