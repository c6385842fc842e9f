import { randomUUID } from 'node:crypto';
import { InvalidationTargets } from '../core/control-message';
import { ModelName } from '../core/model-name';
import { modelTag } from '../core/tags';
import {
  awaitInvalidation,
  type CloudFrontReceipt,
  cloudFrontItems,
  createInvalidation,
} from './cloudfront-invalidation';
import { broadcast } from './control-messages';
import { UsageError } from './errors';
import { type ControlPlane, inEveryRegion, type OnProgress } from './plane';
import { awaitTasks, type RegionReceipt } from './region-tasks';

/** What is to be forgotten. At least one list names something. */
export interface InvalidateRequest {
  /** Keys of the edge cache. */
  readonly keys?: readonly string[];
  /** Cache tags, at the regions and at CloudFront. */
  readonly tags?: readonly string[];
  readonly prefixes?: readonly string[];
  readonly patterns?: readonly string[];
  /** Models: everything computed by them or belonging to them. */
  readonly models?: readonly string[];
  /** URL paths at CloudFront, `*` allowed at the end. */
  readonly paths?: readonly string[];
  /** Returns only when every live task and CloudFront have applied it. */
  readonly wait?: boolean;
  /** With a value above 0 CloudFront is invalidated once more after so long, for answers that were on their way to a POP, ms. */
  readonly settleMs?: number;
  /** Patience for each of the regions and CloudFront, ms. */
  readonly timeoutMs?: number;
}

/** What an invalidation did. */
export interface InvalidateResult {
  /** Id of the control message. */
  readonly id: string;
  readonly targets: InvalidationTargets;
  /** Receipts of the regions; absent when nobody waited for them. */
  readonly regions?: readonly RegionReceipt[];
  readonly cloudFront: readonly CloudFrontReceipt[];
  /** What the caller should know about the reach of this invalidation. */
  readonly notes: readonly string[];
}

const DEFAULT_TIMEOUT_MS = 60_000;
const NO_TARGETS: InvalidationTargets = { keys: [], tags: [], prefixes: [], patterns: [] };

/**
 * Invalidates at every tier of every region, and tags and paths at CloudFront too. CloudFront comes after the regions:
 * the other way round a POP could fetch the old answer again from a region that has not heard yet. So whenever
 * CloudFront takes part the regions are waited for, even without `wait`.
 * @throws UsageError when nothing, or something impossible, is named; ControlError when a region or CloudFront does not follow
 */
export async function invalidate(
  request: InvalidateRequest,
  plane: ControlPlane,
  onProgress: OnProgress = () => {},
): Promise<InvalidateResult> {
  const { wait = false, settleMs = 0, timeoutMs = DEFAULT_TIMEOUT_MS } = request;
  const { targets, items } = planInvalidation(request);
  const id = randomUUID();
  const notes = notesOn(targets);

  const reachesRegions = Object.values(targets).some((list) => list.length > 0);
  const awaitsRegions = reachesRegions && (wait || items.length > 0);
  const sentAt = plane.clock.now();
  if (reachesRegions) {
    await broadcast(plane, { kind: 'invalidate', id, targets });
    onProgress(`invalidation ${id} sent to ${plane.regions.length} region(s)`);
  }
  const regions = awaitsRegions ? await awaitRegions(plane, id, sentAt, timeoutMs, onProgress) : undefined;

  const cloudFront = await invalidateCloudFront(plane, items, { id, wait, settleMs, timeoutMs }, onProgress);
  return { id, targets, ...(regions ? { regions } : {}), cloudFront, notes };
}

/**
 * What a request comes to: targets for the regions and items for CloudFront. Asks no service.
 * @throws UsageError when nothing, or something impossible, is named
 */
export function planInvalidation(request: InvalidateRequest): {
  readonly targets: InvalidationTargets;
  readonly items: readonly string[];
} {
  const targets = parseTargets(request);
  return { targets, items: cloudFrontItems(targets.tags, request.paths ?? []) };
}

function parseTargets(request: InvalidateRequest): InvalidationTargets {
  const { keys = [], tags = [], prefixes = [], patterns = [], models = [], paths = [] } = request;
  for (const model of models) {
    const name = ModelName.safeParse(model);
    if (!name.success) throw new UsageError(name.error.issues.map(({ message }) => message).join('; '));
  }
  const named = { keys, tags: [...new Set([...tags, ...models.map(modelTag)])], prefixes, patterns };
  if (Object.values(named).every((list) => list.length === 0)) {
    if (paths.length > 0) return NO_TARGETS;
    throw new UsageError('name what to invalidate: a key, tag, prefix, pattern, model or path');
  }
  const result = InvalidationTargets.safeParse(named);
  if (!result.success) {
    const faults = result.error.issues.map(({ path, message }) =>
      path.length > 0 ? `${path.join('.')}: ${message}` : message,
    );
    throw new UsageError(faults.join('; '));
  }
  return result.data;
}

function notesOn({ keys, prefixes, patterns }: InvalidationTargets): string[] {
  if (keys.length + prefixes.length + patterns.length === 0) return [];
  return [
    'keys, prefixes and patterns name entries of the edge caches; CloudFront knows tags and paths only: answers already at a POP stay until they expire unless --tag, --model or --path names them',
  ];
}

function awaitRegions(
  plane: ControlPlane,
  id: string,
  sentAt: number,
  timeoutMs: number,
  onProgress: OnProgress,
): Promise<RegionReceipt[]> {
  return inEveryRegion(plane, async (region, signal) => {
    const condition = {
      sentAt,
      timeoutMs,
      requireTask: false,
      isDone: () => true,
      describe: () => 'has not applied it',
    };
    const receipt = await awaitTasks(plane, region, id, condition, signal);
    onProgress(`  ${region}: applied by ${receipt.tasks} task(s) after ${receipt.propagationMs} ms`);
    return receipt;
  });
}

async function invalidateCloudFront(
  plane: ControlPlane,
  items: readonly string[],
  { id, wait, settleMs, timeoutMs }: { id: string; wait: boolean; settleMs: number; timeoutMs: number },
  onProgress: OnProgress,
): Promise<CloudFrontReceipt[]> {
  if (items.length === 0) return [];
  const invalidateOnce = async (reference: string): Promise<CloudFrontReceipt> => {
    const created = await createInvalidation(plane, items, reference);
    onProgress(`CloudFront invalidation ${created.id} of ${items.join(' ')}`);
    return wait ? awaitInvalidation(plane, created, timeoutMs) : created;
  };
  const first = await invalidateOnce(id);
  if (settleMs <= 0) return [first];
  await plane.clock.sleep(settleMs);
  return [first, await invalidateOnce(`${id}-settled`)];
}
